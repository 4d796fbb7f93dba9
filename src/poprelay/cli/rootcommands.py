"""`poprelay root-commands`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from poprelay.daemon.root.rootlist import CONFIG, read_list
from poprelay.daemon.root.rootpart import serve_requests
from poprelay.escape import show
from poprelay.maps.root import DIRECTORY

_EXISTING = click.Path(path_type=Path)


@click.command(name="root-commands")
@click.option("--list", "path", type=_EXISTING, default=CONFIG, show_default=True, help="Root's own list of commands.")
@click.option(
    "--directory", type=_EXISTING, default=DIRECTORY, show_default=True, help="Where requests and results are."
)
@click.option("--check", is_flag=True, help="Only read the list, and say what it holds.")
def command(path: Path, directory: Path, check: bool) -> int:
    """Run what the daemon has asked for and what needs root, from root's own list; for poprelay-root.service.

    A request names an entry of the list and nothing else. Exit code 1: one failed.
    """
    if check:
        for name in read_list(path).commands:
            print(name)
        return 0
    failures = 0
    for name, failed in serve_requests(path, directory):
        if failed:
            failures += 1
            print(f"poprelay: {show(f'{name}: {failed}')}", file=sys.stderr)
        else:
            print(f"{name}: done")
    return 1 if failures else 0
