"""How commands print: tables on a terminal, aligned text into a pipe, one JSON object per line when asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TextIO

from poprelay.escape import show
from poprelay.spans import parse_rfc3339, show_span

Row = dict[str, Any]


def print_json(row: Row, to: TextIO | None = None) -> None:
    """One object on one line; a byte that is not UTF-8 is written as a lone surrogate escape."""
    print(json.dumps(row), file=to or sys.stdout, flush=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Row], *, now: float, empty: str, always_named: bool = False
) -> int:
    """Print rows, and return how many there were. Untrusted text is escaped.

    Columns bear their names on a terminal, or if `always_named`: what reads a pipe wants only rows.
    """
    cells = [[cell(column, row.get(column), now) for column in columns] for row in rows]
    if not cells:
        print(empty)
        return 0
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*[column.upper() for column in columns], box=None, header_style="bold", pad_edge=False)
        for line in cells:
            table.add_row(*[_plain(text) for text in line])
        Console(highlight=False).print(table)
        return len(cells)
    lines = [[column.upper() for column in columns], *cells] if always_named else cells
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return len(cells)


def cell(column: str, value: object, now: float) -> str:
    """One value as a person reads it: times are local, `until` says how long is left."""
    if column == "until":
        if value is None:
            return "always"
        end = parse_rfc3339(str(value))
        return f"{_clock(end)} ({show_span(end - now)} left)" if end > now else _clock(end)
    if column in {"at", "opened", "last_line", "last_login"}:
        return "-" if value is None else _clock(parse_rfc3339(str(value)))
    if value in (None, "", 0):
        return "-"
    return show(str(value))


def _clock(at: float) -> str:
    moment = datetime.fromtimestamp(at).astimezone()
    today = moment.date() == datetime.now().astimezone().date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)
