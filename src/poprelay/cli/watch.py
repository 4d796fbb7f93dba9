"""`poprelay watch`: who may relay, live."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poprelay.cli import options
from poprelay.cli.call import Call, Row
from poprelay.cli.output import cell, change_line, print_json, table
from poprelay.spans import parse_rfc3339, show_span

if TYPE_CHECKING:
    from rich.table import Table

REFRESH = 0.5
MOST = 40
COLUMNS = ("address", "user", "left", "basis", "agent", "sessions")


@click.command(name="watch")
@options.user
@options.address
@options.config
@options.as_json
def command(user: str | None, address: str | None, config_path: Path, as_json: bool) -> None:
    """Show who may relay, live, until Ctrl-C. Into a pipe: one change per line, as it happens."""
    asked = {"user": user, "address": address}
    with suppress(KeyboardInterrupt):  # it is how a watch ends
        _watch(config_path, asked, as_json=as_json)


def _watch(config_path: Path, asked: Row, *, as_json: bool) -> None:
    if sys.stdout.isatty() and not as_json:
        _live(config_path, asked)
        return
    for row in Call(config_path, "watch", asked, needs_daemon=True, wait=None):
        if as_json:
            print_json(row)
        else:
            print(change_line(row), flush=True)


def _live(config_path: Path, asked: Row) -> None:
    from rich.live import Live

    def rows() -> Iterator[Row]:
        return iter(Call(config_path, "list", asked, needs_daemon=True))

    with Live(_table(rows()), refresh_per_second=4, screen=False) as live:
        while True:
            time.sleep(REFRESH)
            live.update(_table(rows()))


def _table(rows: Iterator[Row]) -> Table:
    now = time.time()
    found = sorted(rows, key=lambda row: row["opened"], reverse=True)
    for row in found[:MOST]:
        row["left"] = "always" if row["until"] is None else show_span(parse_rfc3339(row["until"]) - now)
    lines = [[cell(column, row[column], now) for column in COLUMNS] for row in found[:MOST]]
    if len(found) > MOST:
        lines.append([f"and {len(found) - MOST} more", *[""] * (len(COLUMNS) - 1)])
    return table(COLUMNS, lines, title=f"{len(found)} may relay now")
