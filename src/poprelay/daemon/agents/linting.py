"""`poprelay agents lint`: everything that can be found out about agents, by name, in a Python file, or in a config."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from poprelay.agents import catalog, proof
from poprelay.agents.base import Agent
from poprelay.agents.lint import Finding, lint_agent, lint_pattern
from poprelay.agents.patterns import compiled
from poprelay.clock import Clock
from poprelay.config.load import read_document
from poprelay.config.section import Section
from poprelay.daemon.agents.agentfiles import load_file
from poprelay.daemon.agents.hostile import time_agent
from poprelay.daemon.agents.ownagents import read_agents
from poprelay.errors import AgentError, ConfigError
from poprelay.scan.headers import split
from poprelay.scan.trial import try_agent, try_needles

_KINDS: Final = ("login", "logout")


class Linted(msgspec.Struct, frozen=True):
    """One agent, where it stands ('' if it is built in or installed), and what there is to say about it."""

    agent: str
    file: str
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is an error."""
        return not any(finding.severity == "error" for finding in self.findings)


def lint(target: str | None) -> Iterator[Linted]:
    """What is found about an agent by its name, about all of a file or directory, or, with None, about all that are
    built in or installed. Raises AgentError, and ConfigError for a config that is no TOML or names wrong things."""
    if target is None:
        for name in catalog.names():
            yield _by_name(name)
    elif target in catalog.names() and not Path(target).is_file():
        yield _by_name(target)
    elif target.endswith(".toml"):
        yield from _of_config(Path(target))
    elif Path(target).is_dir():
        files = sorted(Path(target).glob("*.py"))
        if not files:
            raise AgentError(f"there is no *.py in {target}", remedy="name a directory of agents")
        for file in files:
            yield from _of_file(file)
    elif "/" in target or target.endswith(".py") or Path(target).is_file():
        yield from _of_file(Path(target))
    else:
        try:
            catalog.find(target)
        except AgentError as error:
            raise AgentError(f"there is no file {target!r}, and no agent of that name", remedy=error.remedy) from None


def _by_name(name: str) -> Linted:
    try:
        agent = catalog.find(name)
    except AgentError as error:
        return Linted(name, "", (_broken(error),))
    return Linted(name, "", tuple(_all(agent)))


def _of_file(path: Path) -> Iterator[Linted]:
    _check_there(path)
    try:
        agents = load_file(path)
    except AgentError as error:
        yield Linted(path.stem, str(path), (_broken(error),))
        return
    for agent in agents:
        yield Linted(agent.name, str(path), tuple(_all(agent)))


def _of_config(path: Path) -> Iterator[Linted]:
    """The agents of `[[agents]]`, those that are wrong included, with the patterns as they are written there."""
    _check_there(path)
    document = read_document(path)
    own = read_agents(document.root)
    for section in document.root.tables("agents"):
        name = section.text("name", "")
        findings = [*_written(section)]
        sound = own.agents.get(name)
        if sound is not None:
            findings += try_needles(sound)
        told = {finding.message for finding in findings}
        for problem in document.root.problems:
            if problem.path[: len(section.keys)] == section.keys and not any(each in problem.message for each in told):
                findings.append(
                    Finding("error", "config", _where(problem.path[2:]), problem.message, "", problem.remedy)
                )
        line, column = document.place(section.keys)
        yield Linted(name, f"{path}:{line}:{column}", tuple(findings))
    named = {section.text("name", "") for section in document.root.tables("agents")}
    for name, agent in own.agents.items():
        if name not in named and agent is not None:  # of the directory of agents
            yield Linted(name, str(document.root.spec["daemon"]["agents_directory"]), tuple(_all(agent)))
    rest = [document.sentence(each) for each in document.root.problems if each.path[:1] != ("agents",)]
    if rest:
        raise ConfigError(rest)
    if not named and not own.agents:
        raise AgentError(f"{path} has no [[agents]]", remedy="name a config that has, a Python file, or an agent")


def _check_there(path: Path) -> None:
    if not path.exists():
        raise AgentError(
            f"there is no file {path}", remedy="name an agent, a Python file, or a config that ends in .toml"
        )


def _written(section: Section) -> Iterator[Finding]:
    for kind in _KINDS:
        given = section.spec.get(kind, ())
        for number, text in enumerate([given] if isinstance(given, str) else given if isinstance(given, list) else ()):
            where = kind if isinstance(given, str) else f"{kind}[{number}]"
            try:
                compiled("", kind, text if isinstance(text, str) else "")
            except AgentError:
                continue  # the config has refused it
            yield from lint_pattern(kind, text, where, guards=True)


def _where(keys: tuple[str | int, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else str(key) for key in keys) or "agents"


def _all(agent: Agent) -> list[Finding]:
    found = lint_agent(agent)
    samples = catalog.samples(agent)
    found += try_agent(agent, samples, now=Clock().now())
    if not any(finding.about in {"backtracking", "unjudged"} for finding in found):
        found += time_agent(agent, _messages(samples))
    return found


def _messages(samples: str | None) -> list[bytes]:
    """The messages of the samples, logins first."""
    try:
        read = sorted(proof.read(samples or ""), key=lambda sample: not sample.claims)
    except AgentError:
        return []
    headers = [split(line.encode("utf-8", "surrogateescape")) for sample in read for line in sample.lines]
    return [header.message for header in headers if header is not None]


def _broken(error: AgentError) -> Finding:
    place = error.fields.get("position")
    pattern = error.fields.get("pattern")
    return Finding(
        "error",
        "pattern",
        "agent",
        error.message,
        "",
        error.remedy,
        pattern if isinstance(pattern, str) else "",
        place if isinstance(place, int) else None,
    )
