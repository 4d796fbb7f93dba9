"""`poprelay cleanup`."""

from __future__ import annotations

from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call
from poprelay.cli.output import print_json


@click.command(name="cleanup")
@options.config
@options.as_json
def command(config_path: Path, as_json: bool) -> None:
    """Remove from maps and ledger what is no longer live; adds nothing. The systemd timer runs it every minute."""
    count = 0
    for row in Call(config_path, "cleanup", {}, writes=True):
        count += 1
        if as_json:
            print_json(row)
    if not as_json:
        print(f"{count} closed")
