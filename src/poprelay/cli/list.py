"""`poprelay list`: who may relay now."""

from __future__ import annotations

import time
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call
from poprelay.cli.output import Row, print_json, print_table

COLUMNS = ("address", "user", "basis", "until", "agent", "sessions", "reason")


@click.command(name="list")
@options.user
@options.address
@options.config
@options.as_json
def command(user: str | None, address: str | None, config_path: Path, as_json: bool) -> None:
    """Show who may relay now, until when, why, and how many sessions are open."""
    rows: Iterable[Row] = Call(config_path, "list", {"user": user, "address": address})
    if as_json:
        for row in rows:
            print_json(row)
    else:
        rows = sorted(rows, key=itemgetter("address", "user", "basis"))
        print_table(COLUMNS, rows, now=time.time(), empty="nobody may relay now")
