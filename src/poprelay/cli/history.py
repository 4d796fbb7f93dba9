"""`poprelay history`: every change."""

from __future__ import annotations

import time
from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call
from poprelay.cli.output import print_json, print_table

COLUMNS = ("at", "change", "address", "user", "basis", "agent", "reason", "count")


@click.command(name="history")
@options.user
@options.address
@click.option("--since", type=options.Span(), help="Only the last SPAN, such as 1d or 30m.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many changes.")
@options.config
@options.as_json
def command(
    user: str | None, address: str | None, since: str | None, limit: int, config_path: Path, as_json: bool
) -> None:
    """Show every change, newest first: opened, closed and why, refused and by which rule."""
    rows = Call(config_path, "history", {"user": user, "address": address, "since": since, "limit": limit})
    if as_json:
        for row in rows:
            print_json(row)
    elif print_table(COLUMNS, rows, now=time.time(), empty="nothing has changed") == limit:
        click.echo(f"these are the newest {limit}; for more, say --limit", err=True)
