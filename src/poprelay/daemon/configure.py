"""From a config file to the parts that it names: here the pure config meets sources, maps, services and rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.config.load import Document, read_document
from poprelay.config.problem import Problem
from poprelay.config.section import Section
from poprelay.config.settings import Settings, read_settings
from poprelay.daemon.agents.ownagents import OwnAgents, read_agents
from poprelay.daemon.crosschecks import check_together, doubts
from poprelay.daemon.kinds import Role, find_kind
from poprelay.daemon.sentences import sentences
from poprelay.errors import AgentError, UnknownKind


class Configured(msgspec.Struct, frozen=True):
    """One part as the config describes it. Equal `spec`s mean the same part; `object` is ready, but has done no I/O."""

    role: Role
    number: int
    """Its place among the sections of its role, from 0."""
    kind: str
    name: str
    spec: dict[str, Any]
    object: Any
    agents: tuple[Agent, ...] = ()
    """Those that a source listens to."""


class Config(msgspec.Struct, frozen=True):
    """Everything that a config file says, and what is doubtful about it, each as a sentence with its place."""

    settings: Settings
    sources: tuple[Configured, ...]
    maps: tuple[Configured, ...]
    services: tuple[Configured, ...]
    warnings: tuple[str, ...] = ()
    agent_doubts: tuple[Problem, ...] = ()
    """What is doubtful about the operator's own agents."""

    def sentences(self) -> list[str]:
        """What it would do, in sentences, for `poprelay check`."""
        return sentences(self)


def read_config(path: Path) -> Config:
    """Read, check and build everything. Raises ConfigError with every mistake."""
    return checked_config(read_document(path), path)


def checked_config(document: Document, path: Path) -> Config:
    """The same, of a document that was read from `path`."""
    config = build_config(document)
    document.check()
    return msgspec.structs.replace(config, warnings=tuple(doubts(path, document, config)))


def build_config(document: Document) -> Config:
    """What a document says; mistakes are recorded in it, and then some of this is missing."""
    root = document.root
    settings = read_settings(root)
    own = read_agents(root)
    config = Config(
        settings=settings,
        sources=_parts(root, "source", own),
        maps=_parts(root, "map", own),
        services=_parts(root, "service", own),
        agent_doubts=tuple(own.doubts),
    )
    check_together(root, config)
    root.finish()
    return config


def default_config() -> Config:
    """Half an hour, every agent that there is, and defaults for the rest: to look at a log without a config."""
    names = ", ".join(f'"{name}"' for name in catalog.names())
    document = Document(
        f'relay.period = "30m"\n[[sources]]\nkind = "stdin"\nagents = [{names}]\n', "the default config"
    )
    config = build_config(document)
    document.check()
    return config


def read_own_agents(path: Path) -> dict[str, Agent]:
    """Only the operator's own agents, by name: `[[agents]]`, and those of `agents_directory`.

    Raises ConfigError with every mistake in these.
    """
    document = read_document(path)
    found = read_agents(document.root)
    document.check()
    return {name: agent for name, agent in found.agents.items() if agent is not None}


def _parts(root: Section, role: Role, own: OwnAgents) -> tuple[Configured, ...]:
    parts = (_part(section, number, role, own) for number, section in enumerate(root.tables(f"{role}s")))
    return tuple(part for part in parts if part is not None)


def _part(section: Section, number: int, role: Role, own: OwnAgents) -> Configured | None:
    name = section.text("kind")
    agents = _agents(section, own) if role == "source" else ()
    if not name:
        return None
    try:
        kind = find_kind(role, name)
    except UnknownKind as error:
        section.refuse("kind", error.message, error.remedy)
        return None
    built = kind.from_section(section, agents) if role == "source" else kind.from_section(section)
    section.finish()
    spec = dict(section.spec)
    if agents:
        # one of the same name may have been defined anew; a class from a file is another one each time
        spec["agents"] = [(type(agent), *(getattr(agent, said) for said in Agent.__annotations__)) for agent in agents]
    return Configured(role, number, name, built.name, spec, built, agents)


def _agents(section: Section, own: OwnAgents) -> tuple[Agent, ...]:
    """The agents that a source names. One of the operator's own that is wrong is left out: it has been reported."""
    found: list[Agent] = []
    for number, name in section.numbered("agents", once=True):
        try:
            agent = own.find(name)
        except AgentError as error:
            remedy = error.remedy if name in own.names else own.remedy(name)
            section.refuse("agents", error.message, remedy, number=number)
        else:
            found += [agent] if agent is not None else []
    return tuple(found)
