"""`poprelay explain`: may this address relay, and why."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call, Row
from poprelay.cli.output import cell, print_json
from poprelay.escape import show

HOLDS = {True: "holds it", False: "does not hold it", None: "cannot be read now"}


@click.command(name="explain")
@click.argument("address", type=options.Address())
@options.config
@options.as_json
def command(address: str, config_path: Path, as_json: bool) -> None:
    """Say what the MTA would see for ADDRESS now, and why. Exit code: 0 yes, 1 no, 3 cannot tell."""
    call = Call(config_path, "explain", {"address": address})
    for row in call:
        if as_json:
            print_json(row)
        else:
            _print(row)
    sys.exit(call.exit_code)


def _print(row: Row) -> None:
    verdict = {"yes": "may relay now", "no": "may not relay", "cannot tell": "cannot be judged now"}[row["answer"]]
    print(f"{row['address']} {verdict}")
    for grant in row["grants"]:
        who = show(grant["user"]) or "(no user)"
        held = f", held by {grant['sessions']} open session(s)" if grant["held"] else ""
        print(f"  {grant['basis']}: {who} until {cell('until', grant['until'], time.time())}{held}")
    for why in row["why"]:
        print(f"  {show(why)}")
    for name, holds in row["maps"].items():
        print(f"  map {show(name)}: {HOLDS[holds]}")
