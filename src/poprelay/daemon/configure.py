"""From a config file to the parts that it names: here the pure config meets sources, maps, services and rules."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.config.load import read_document
from poprelay.config.section import Problem, Section
from poprelay.config.settings import Settings, read_settings
from poprelay.daemon.kinds import Role, find_kind
from poprelay.errors import AgentError, UnknownKind
from poprelay.ledger.rules import Rules, RuleTerms, Surroundings
from poprelay.ledger.terms import Terms
from poprelay.spans import show_span


class Configured(msgspec.Struct, frozen=True):
    """One part as the config describes it. Equal `spec`s mean the same part; `object` is ready, but has done no I/O."""

    kind: str
    name: str
    spec: dict[str, Any]
    object: Any
    agents: tuple[Agent, ...] = ()


class Config(msgspec.Struct, frozen=True):
    """Everything that a config file says, and what is doubtful about it, each as a sentence."""

    settings: Settings
    sources: tuple[Configured, ...]
    maps: tuple[Configured, ...]
    services: tuple[Configured, ...]
    warnings: tuple[str, ...]

    def sentences(self) -> list[str]:
        """What it would do, in sentences, for `poprelay check`."""
        relay = self.settings.relay
        clients = (
            "its address" if relay.ipv6_prefix == 128 else f"its address (of IPv6, its whole /{relay.ipv6_prefix})"
        )
        tls = " that was protected by TLS" if relay.require_tls else ""
        told = [f"A POP or IMAP login{tls} lets {clients} relay for {show_span(relay.period)}."]
        told += [f"Reads {part.name} with {_and(part.spec['agents'])}." for part in self.sources]
        told += [f"Keeps the map {part.name} equal to the ledger." for part in self.maps]
        told += [f"Answers on the service {part.name}." for part in self.services]
        told += [
            f"{one.address} may always relay{f' ({one.user})' if one.user else ''}." for one in self.settings.standing
        ]
        for verb, networks in (("Never grants", relay.deny_networks), ("Grants even in", relay.allow_networks)):
            if networks:
                told.append(f"{verb} {_and(map(str, networks))}.")
        if relay.deny_users:
            told.append(f"Never grants to {_and(sorted(relay.deny_users))}.")
        told.append(
            f"Keeps the ledger in {self.settings.ledger.path}, "
            f"and its history for {show_span(self.settings.ledger.history)}."
        )
        if self.settings.daemon.on_stop == "empty":
            told.append("Empties the maps when it stops.")
        return told


def read_config(path: Path) -> Config:
    """Read, check and build everything. Raises ConfigError with every mistake."""
    document = read_document(path)
    root = document.root
    settings = read_settings(root)
    own = _own_agents(root)
    config = Config(
        settings=settings,
        sources=_parts(root, "source", own),
        maps=_parts(root, "map", own),
        services=_parts(root, "service", own),
        warnings=(),
    )
    _check_together(root, config)
    root.finish()
    document.check()
    return msgspec.structs.replace(config, warnings=tuple(_warnings(path, config)))


def read_own_agents(path: Path) -> dict[str, Agent]:
    """Only the operator's own agents of a config, by name. Raises ConfigError."""
    document = read_document(path)
    own = _own_agents(document.root)
    document.check()
    return own


def terms_of(settings: Settings) -> Terms:
    """The numbers of `[relay]`, as the ledger takes them."""
    return Terms(**{name: getattr(settings.relay, name) for name in Terms.__struct_fields__})


def rules_of(settings: Settings, surroundings: Surroundings | None = None) -> Rules:
    """The rules of `[relay]`, among what was last seen around."""
    return Rules(
        RuleTerms(**{name: getattr(settings.relay, name) for name in RuleTerms.__struct_fields__}), surroundings
    )


def _own_agents(root: Section) -> dict[str, Agent]:
    """The operator's own agents, `[[agents]]`."""
    found: dict[str, Agent] = {}
    for section in root.tables("agents"):
        name, program = section.text("name"), section.text("program")
        login, logout = section.text("login"), section.text("logout", "")
        service = section.choice("service", ("pop3", "imap"), "pop3")
        section.finish()
        if not (name and program and login):
            continue
        if name in found or name in catalog.names():
            section.refuse("name", f"there is an agent {name!r} already", "give it another name")
            continue
        try:
            found[name] = Agent(name=name, program=program, login=login, logout=logout, service=service)
        except AgentError as error:
            section.refuse("logout" if "logout" in error.message else "login", error.message, error.remedy)
    return found


def _parts(root: Section, role: Role, own: dict[str, Agent]) -> tuple[Configured, ...]:
    found: list[Configured] = []
    seen: dict[object, str] = {}
    for section in root.tables(f"{role}s"):
        part = _part(section, role, own)
        if part is None:
            continue
        for key in ("path", "listen", "name"):
            value = section.spec.get(key)
            if isinstance(value, str) and seen.setdefault((key, value), section.path) != section.path:
                section.refuse(key, f"{seen[key, value]} has it too", "give each its own")
        if seen.setdefault(("called", part.name), section.path) != section.path and not section.given("path"):
            section.refuse(
                "", f"{seen['called', part.name]} is called {part.name!r} too", "give each a name of its own"
            )
        found.append(part)
    return tuple(found)


def _part(section: Section, role: Role, own: dict[str, Agent]) -> Configured | None:
    kind = section.text("kind")
    if not kind:
        return None
    try:
        made = find_kind(role, kind)
    except UnknownKind as error:
        section.refuse("kind", error.message, error.remedy)
        return None
    if role != "source":
        built = made.from_section(section)
        section.finish()
        return Configured(kind, built.name, dict(section.spec), built)
    agents = _agents(section, own)
    built = made.from_section(section, agents)
    section.finish()
    spec = {
        **section.spec,
        "agents": [one.name for one in agents],
        "patterns": [(a.login, a.logout, a.program, a.service) for a in agents],
    }
    return Configured(kind, built.name, spec, built, tuple(agents))


def _agents(section: Section, own: dict[str, Agent]) -> Sequence[Agent]:
    found: list[Agent] = []
    for number, name in enumerate(section.texts("agents")):
        try:
            found.append(own[name] if name in own else catalog.find(name))
        except AgentError as error:
            section.problems.append(Problem((*section.keys, "agents", number), error.message, error.remedy))
    return found


def _check_together(root: Section, config: Config) -> None:
    if not config.sources and not root.problems:
        root.refuse("", "there is no source", "write [[sources]] and below it kind, path and agents")
    if config.settings.relay.ipv6_prefix != 128:
        for number, part in enumerate(config.maps):
            if not part.object.expresses_networks:
                message = f"a map of kind {part.kind} cannot hold a network, and ipv6_prefix is not 128"
                root.problems.append(
                    Problem(("maps", number, "kind"), message, "use a service, or leave ipv6_prefix at 128")
                )


def _warnings(path: Path, config: Config) -> Iterable[str]:
    yield from rules_of(config.settings).warnings()
    if not config.maps and not config.services:
        yield "no map and no service: nothing tells an MTA; the ledger is only a list to look at"
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield f"{path} can be written by others than its owner: whoever can may open the relay"


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
