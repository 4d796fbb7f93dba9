"""`poprelay agents`: which there are, what each says, and what is wrong with one."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.cli import options
from poprelay.cli.output import Row, print_json
from poprelay.cli.reading import AgentName, agent_named, own_agents
from poprelay.escape import show

if TYPE_CHECKING:
    from poprelay.agents.lint import Finding
    from poprelay.daemon.agents.linting import Linted

LINT = "lint"

NEWLINES: Final = {
    True: "logged as it is; not safe where that begins a new line (syslog-ng's default)",
    False: "replaced in the lines of logins",
    None: "not known whether logged as it is; not safe where that begins a new line (syslog-ng's default)",
}


@click.command(name="agents")
@click.argument("name", type=AgentName(), required=False, metavar="[NAME]")
@click.argument("target", required=False, metavar="| lint [FILE|NAME]")
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), help="Show the agents of this config too."
)
@options.as_json
def command(name: str | None, target: str | None, config_path: Path | None, as_json: bool) -> None:
    """Show the agents; with NAME its programs, patterns and samples.

    `lint` checks them: that no client can name an address that is not his, that no line is slow, and that samples and
    attacks show it. FILE is a Python file that defines agents, or a config whose [[agents]] are checked. Exit code: 0
    if all is well, or only doubtful; 1 if there is an error.
    """
    if name == LINT:
        if config_path is not None:
            raise click.UsageError(f"lint takes a config as its FILE: poprelay agents lint {config_path}")
        sys.exit(_lint(target, as_json=as_json))
    if target is not None:
        raise click.UsageError(f"what is {target!r} for? Only lint takes a second word")
    own = own_agents(config_path)
    if name is None:
        for agent in [*own.values(), *map(catalog.find, catalog.names())]:
            row = _row(agent)
            print_json(row) if as_json else print(f"{row['agent']}: {show(row['about'])}")
        return
    agent = own[name] if name in own else agent_named(name)
    row = _row(agent) | {"samples": catalog.samples(agent) or ""}
    if as_json:
        print_json(row)
        return
    print(f"{row['agent']}: {show(row['about'])}")
    for key, words in (("versions", row["versions"]), ("switch on", row["needs"]), ("not safe", row["unsafe"])):
        if words:
            print(f"{key}: {show(words)}")
    print(f"a newline in a user name: {NEWLINES[row['raw_names']]}")
    print(f"\nprograms: {', '.join(show(each) or '(a log of its own)' for each in row['programs'])}")
    for kind in ("login", "logout"):
        for pattern in row[kind]:
            print(f"\n{kind}:\n  {show(pattern)}")
    print("\nsamples:")
    for line in row["samples"].splitlines():
        print(f"  {show(line)}")


def _row(agent: Agent) -> Row:
    about = (inspect.getdoc(type(agent)) or "").split("\n")[0] if type(agent) is not Agent else "your own"
    return {
        "agent": agent.name,
        "about": about,
        "versions": agent.versions,
        "needs": agent.needs,
        "unsafe": agent.unsafe,
        "raw_names": agent.raw_names,
        "programs": list(agent.programs),
        "login": [pattern.pattern.decode("utf-8", "surrogateescape") for pattern in agent.login_patterns],
        "logout": [pattern.pattern.decode("utf-8", "surrogateescape") for pattern in agent.logout_patterns],
    }


def _lint(target: str | None, *, as_json: bool) -> int:
    """The exit code."""
    from poprelay.daemon.agents.linting import lint

    failed = False
    for linted in lint(target):
        failed = failed or not linted.passes
        if as_json:
            _print_rows(linted)
        else:
            _print(linted)
    return 1 if failed else 0


def _print_rows(linted: Linted) -> None:
    about: Row = {"agent": linted.agent, "file": linted.file or None}
    for each in linted.findings:
        said: Row = {"severity": each.severity, "about": each.about, "where": each.where, "message": each.message}
        said |= {"why": each.why, "remedy": each.remedy, "rewritten": each.rewritten or None}
        print_json(about | said | {"pattern": each.pattern or None, "place": each.place})
    if not linted.findings:
        print_json(about | {"severity": None})


def _print(linted: Linted) -> None:
    name = f"{linted.file}: {linted.agent}" if linted.file else linted.agent
    if not linted.findings:
        print(f"{show(name)}: well")
    for finding in linted.findings:
        print(f"{show(name)}: {finding.severity}: {show(finding.where)}: {show(finding.message)}")
        for line in _details(finding):
            print(f"    {line}".rstrip())


def _details(finding: Finding) -> list[str]:
    lines = [f"  {show(line)}" for line in finding.pointed().split("\n") if line]
    lines += [show(finding.why)] if finding.why else []
    lines += [f"mend it: {show(finding.remedy)}"] if finding.remedy else []
    return lines + ([f"  {show(finding.rewritten)}"] if finding.rewritten else [])
