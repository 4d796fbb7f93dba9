"""`poprelay revoke`: taking the permission away."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call, Row
from poprelay.cli.output import print_json
from poprelay.escape import show


@click.command(name="revoke")
@click.option("--address", type=options.Address(), help="Close the grants of this address.")
@click.option("--user", help="Close the grants of this user; with --address, only their common ones.")
@click.option("--deny", type=options.Span(), help="Refuse new logins too, for so long, such as 7d.")
@click.option("--reason", default="", help="Why; kept in the history.")
@options.config
@options.as_json
def command(
    address: str | None, user: str | None, deny: str | None, reason: str, config_path: Path, as_json: bool
) -> None:
    """Close grants at once; exit code 1 if there was none. A new login opens the relay again, unless --deny."""
    if address is None and user is None:
        raise click.UsageError("name --address, --user, or both")
    call = Call(config_path, "revoke", {"address": address, "user": user, "deny": deny, "reason": reason}, writes=True)
    for row in call:
        if as_json:
            print_json(row)
        else:
            print(_sentence(row))
    sys.exit(call.exit_code)


def _sentence(row: Row) -> str:
    match row["change"]:
        case "closed":
            return f"closed: {row['address']} {show(row['user']) or '(no user)'}"
        case "still":
            return f"still allowed: {row['address']} by {show(row['user']) or '(no user)'}, on basis {row['basis']}"
        case _:
            parts = [row["note"]] if row["note"] else []
            if row["denied"]:
                parts.append(f"new logins are refused for {row['denied']}")
            if row["pending"]:
                parts.append(f"not yet done: {', '.join(row['pending'])} (see: poprelay status)")
            return "; ".join(parts)
