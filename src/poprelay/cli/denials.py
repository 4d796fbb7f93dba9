"""`poprelay denials`: whose new logins are refused by an order, and taking such an order back."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call
from poprelay.cli.output import print_json, print_table

COLUMNS = ("address", "user", "at", "until", "by", "reason")


@click.command(name="denials")
@options.user
@options.address
@click.option("--lift", is_flag=True, help="End those of this --user, --address, or both.")
@options.config
@options.as_json
def command(user: str | None, address: str | None, lift: bool, config_path: Path, as_json: bool) -> None:
    """Show what `poprelay revoke --deny` refuses, until when, by whom and why; with --lift, end it.

    A denial without an address holds for every address; one without a user, for every user. After --lift the next
    login opens the relay again; exit code 1 if there was nothing to lift.
    """
    if lift and user is None and address is None:
        raise click.UsageError("say whose: --address, --user, or both")
    call = Call(config_path, "lift" if lift else "denials", {"user": user, "address": address}, writes=lift)
    if as_json:
        for row in call:
            print_json(row)
    else:
        print_table(COLUMNS, call, now=time.time(), empty="nothing to lift" if lift else "nobody is denied")
    sys.exit(call.exit_code)
