"""`poprelay watch`: who may relay, live."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from heapq import nlargest
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

from poprelay.cli import options
from poprelay.cli.call import Call, Row
from poprelay.cli.output import cell, change_line, print_json, table
from poprelay.errors import PoprelayError
from poprelay.spans import parse_rfc3339, show_span

if TYPE_CHECKING:
    from rich.table import Table

REFRESH = 0.5
AT_ONCE = 0.1
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

    board: dict[tuple[str, ...], Row] = {}
    failed: list[PoprelayError] = []

    def follow() -> None:
        try:
            for row in Call(config_path, "watch", {**asked, "all": True}, needs_daemon=True, wait=None):
                _note(board, row)
        except PoprelayError as error:
            failed.append(error)

    following = Thread(target=follow, daemon=True)
    following.start()
    following.join(AT_ONCE)  # if there is no daemon, that is all there is to show
    if not failed:
        with Live(_table([*board.values()]), refresh_per_second=4, screen=False) as live:
            while not failed:
                time.sleep(REFRESH)
                live.update(_table([*board.values()]))
    raise failed[0]


def _note(board: dict[tuple[str, ...], Row], row: Row) -> None:
    """Keep on the board who may relay."""
    grant = (row["address"], row["user"], row["basis"])
    if row["change"] == "closed":
        board.pop(grant, None)
    elif row["change"] != "refused":
        board[grant] = row


def _table(rows: list[Row]) -> Table:
    now = time.time()
    found = nlargest(MOST, rows, key=lambda row: row["opened"])
    lines = []
    for row in found:
        left = "always" if row["until"] is None else show_span(parse_rfc3339(row["until"]) - now)
        lines.append([cell(column, {**row, "left": left}[column], now) for column in COLUMNS])
    if len(rows) > MOST:
        lines.append([f"and {len(rows) - MOST} more", *[""] * (len(COLUMNS) - 1)])
    return table(COLUMNS, lines, title=f"{len(rows)} may relay now")
