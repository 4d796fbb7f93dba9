"""How commands print: tables on a terminal, aligned text into a pipe, one JSON object per line when asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TextIO

from poprelay.escape import as_json, show
from poprelay.spans import parse_rfc3339, show_span

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]

LONGEST: Final = 48
"""Characters of a user name or a reason in one line of a table; the rest of it goes below."""

_TOGETHER: Final = 1000
"""Lines that are printed at one go."""

_ANY: Final = 1_000_000

_GIVING_WAY: Final = {"user", "reason", "name"}


def print_json(row: Row, to: TextIO | None = None) -> None:
    """One object on one line, in characters that print; a byte that is not UTF-8 is a lone surrogate's escape."""
    print(as_json(row), file=to or sys.stdout, flush=True)


def print_lines(lines: Iterable[str]) -> None:
    """Print the lines, many at one go, for each by itself takes as long to print as to make. None is held back in the
    end."""
    following = iter(lines)
    while some := list(islice(following, _TOGETHER)):
        print("\n".join(some), flush=True)


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
        from rich.console import Console, ConsoleDimensions
        from rich.measure import Measurement

        made, console = table(columns, cells), Console(highlight=False)
        wanted = Measurement.get(console, console.options.update(max_width=_ANY), made).maximum
        # a narrow terminal breaks the lines, but nothing in them is left out
        console.size = ConsoleDimensions(max(console.width, wanted), console.height)
        console.print(made)
        return len(cells)
    lines = [[column.upper() for column in columns], *cells] if always_named else cells
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return len(cells)


def table(columns: Sequence[str], lines: Sequence[Sequence[str]], *, title: str | None = None) -> Table:
    """Rows for a terminal. Where it is narrow, only what may be of any length gives way."""
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        widest = max((len(line[number]) for line in lines), default=0)
        if column in _GIVING_WAY:
            made.add_column(column.upper(), overflow="fold", max_width=LONGEST)
        else:
            made.add_column(column.upper(), no_wrap=True, min_width=max(widest, len(column)))
    for line in lines:
        made.add_row(*map(Text, line))
    return made


def change_line(row: Row) -> str:
    """One change as a line of plain text."""
    who = show(row["user"]) or "-"
    what = f"until {row['until'] or 'always'}" if row["change"] in {"opened", "renewed"} else show(row["reason"])
    return f"{row['at']} {row['change']} {row['address']} {who} {what}"


def cell(column: str, value: object, now: float) -> str:
    """One value as a person reads it: times are local, `until` says how long is left."""
    if column == "until":
        if value is None:
            return "always"
        end = parse_rfc3339(str(value))
        return f"{_clock(end)} ({show_span(end - now)} left)" if end > now else _clock(end)
    if column in {"at", "opened", "last_line", "last_login"}:
        return "-" if value is None else _clock(parse_rfc3339(str(value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, "", 0):
        return "-"
    return show(str(value))


def _clock(at: float) -> str:
    moment = datetime.fromtimestamp(at).astimezone()
    today = moment.date() == datetime.now().astimezone().date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
