"""`poprelay allow`: a grant by hand."""

from __future__ import annotations

import time
from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call
from poprelay.cli.output import cell, print_json


@click.command(name="allow")
@click.argument("address", type=options.Address())
@click.option("--user", default="", help="For whom; shown in lists.")
@click.option(
    "--for", "span", type=options.Span(), help="For how long, such as 2h or 7d; without it, one relay period."
)
@click.option("--reason", default="", help="Why; kept in the history.")
@click.option(
    "--force", is_flag=True, help="Even if the address is special (private, loopback, ...): all behind it may relay."
)
@options.config
@options.as_json
def command(
    address: str, user: str, span: str | None, reason: str, force: bool, config_path: Path, as_json: bool
) -> None:
    """Let ADDRESS relay for a while. Deny rules and caps do not apply to it.

    Exit code 1 if it is refused: a special address without --force.
    """
    arguments = {"address": address, "user": user, "span": span, "reason": reason, "force": force}
    for row in Call(config_path, "allow", arguments, writes=True):
        if as_json:
            print_json(row)
        else:
            print(f"{row['address']} may relay until {cell('until', row['until'], time.time())}")
