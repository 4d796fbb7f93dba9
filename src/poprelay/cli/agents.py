"""`poprelay agents`: which there are, and what each says."""

from __future__ import annotations

import inspect

import click

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.cli import options
from poprelay.cli.output import Row, print_json
from poprelay.escape import show


@click.command(name="agents")
@click.argument("name", required=False)
@options.as_json
def command(name: str | None, as_json: bool) -> None:
    """Show the agents; with NAME its programs, patterns and samples."""
    if name is None:
        rows = [_row(catalog.find(each)) for each in catalog.names()]
        for row in rows:
            print_json(row) if as_json else print(f"{row['agent']}: {row['about']}")
        return
    agent = catalog.find(name)
    row = _row(agent) | {"samples": catalog.samples(agent) or ""}
    if as_json:
        print_json(row)
        return
    print(f"{row['agent']}: {row['about']}")
    print(f"\nprograms: {', '.join(show(each) or '(a log of its own)' for each in row['programs'])}")
    for kind in ("login", "logout"):
        for pattern in row[kind]:
            print(f"\n{kind}:\n  {show(pattern)}")
    print("\nsamples:")
    for line in row["samples"].splitlines():
        print(f"  {show(line)}")


def _row(agent: Agent) -> Row:
    about = (inspect.getdoc(type(agent)) or "").split("\n")[0]
    return {
        "agent": agent.name,
        "about": about,
        "programs": list(agent.programs),
        "login": [pattern.pattern.decode("utf-8", "surrogateescape") for pattern in agent.login_patterns],
        "logout": [pattern.pattern.decode("utf-8", "surrogateescape") for pattern in agent.logout_patterns],
    }
