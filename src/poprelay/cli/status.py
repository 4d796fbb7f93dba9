"""`poprelay status`: how the daemon is."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.call import Call, Row
from poprelay.cli.output import cell, print_json, print_table
from poprelay.escape import show

SOURCES = (
    "name",
    "condition",
    "state",
    "offset",
    "lag",
    "lag_seconds",
    "skew",
    "lines",
    "logins",
    "unmatched",
    "last_line",
    "last_login",
)
MAPS = ("name", "condition", "addresses", "in_step", "changes")
SERVICES = ("name", "condition", "found", "absent", "unavailable", "connections")


@click.command(name="status")
@options.config
@options.as_json
def command(config_path: Path, as_json: bool) -> None:
    """Show sources, counts, maps and services. Exit code: 0 all is well, 1 it is not, 3 no daemon runs."""
    call = Call(config_path, "status", {}, needs_daemon=True)
    for row in call:
        if as_json:
            print_json(row)
        else:
            _print(row)
    sys.exit(call.exit_code)


def _count(number: int, noun: str) -> str:
    """A number and what is counted.

    >>> _count(1, "grant"), _count(2, "address")
    ('1 grant', '2 addresses')
    """
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def _print(row: Row) -> None:
    now = time.time()
    observing = ", observing only" if row["observe"] else ""
    print(
        f"poprelay {row['version']}, {row['state']}{observing}, process {row['pid']}, "
        f"since {cell('opened', row['since'], now)}"
    )
    grants, addresses = _count(row["grants"], "grant"), _count(row["addresses"], "address")
    print(f"{grants} for {addresses}; ledger {show(row['ledger']['path'])}")
    if row["denials"]:
        print(f"{_count(row['denials'], 'denial')} (see: poprelay denials)")
    print(", ".join(f"{count} {name}" for name, count in row["changes"].items()))
    services = [{**part, **part.get("answers", {})} for part in row["services"]]
    for title, columns, parts in (
        ("sources", SOURCES, row["sources"]),
        ("maps", MAPS, row["maps"]),
        ("services", SERVICES, services),
    ):
        print(f"\n{title}")
        print_table(columns, parts, now=now, empty="  none", always_named=True)
    for title in ("problems", "warnings"):
        if row[title]:
            print(f"\n{title}")
        for sentence in row[title]:
            print(f"  {show(sentence)}")
