"""The operator's own agents: `[[agents]]` in the config, for a server that writes its logins in its own way, or that is
called otherwise than usual; and the Python files in `[daemon] agents_directory`.

Patterns are held to `poprelay agents lint`: what it calls an error refuses the config. Where only the end is open, the
pattern is guarded (see `poprelay.agents.mending`): the address is not taken if what stands before it comes again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.agents.line import LineAgent
from poprelay.agents.lint import lint_pattern
from poprelay.agents.mending import guarded
from poprelay.agents.patterns import compiled
from poprelay.config.problem import Problem, nearest
from poprelay.config.section import Section
from poprelay.daemon.agents.agentfiles import load_folder
from poprelay.errors import AgentError
from poprelay.scan.needles import derived
from poprelay.scan.trial import common_needle

SESSION: Final = "(?P<session>"


class OwnAgents(msgspec.Struct, frozen=True):
    """Each own agent by its name; None for one that is wrong, so that who names it need not be told again. `doubts` are
    about what the config says of them."""

    agents: dict[str, Agent | None]
    doubts: list[Problem]

    def find(self, name: str) -> Agent | None:
        """An own agent, or one that is built in or installed. AgentError: see `catalog.find`."""
        return self.agents[name] if name in self.agents else catalog.find(name)

    def remedy(self, name: str) -> str:
        """What to write instead of a name that nothing has."""
        near = nearest(name, self.names)
        return near if near.startswith("did") else "`poprelay agents` lists them all"

    @property
    def names(self) -> tuple[str, ...]:
        """All names that a source may use."""
        return (*self.agents, *catalog.names())


def read_agents(root: Section) -> OwnAgents:
    """The agents that a config brings; what is wrong with them is recorded in `root.problems`."""
    own = OwnAgents({}, [])
    _of_folder(root, own)
    for section in root.tables("agents"):
        name = section.text("name")
        if section.given("line"):
            free = _check_name(section, name, own)
            agent = _of_lines(section, name)
        elif section.given("like"):
            agent = _like(section, name, own)
            free = _check_name(section, name, own)
        else:
            agent = _of_patterns(section, name, own.doubts)
            free = _check_name(section, name, own)
        if free or section.given("line"):
            own.agents[name] = agent if section.sound else None
    return own


def _check_name(section: Section, name: str, own: OwnAgents) -> bool:
    if name in own.names:
        section.refuse("name", f"there is an agent {name!r} already", "give it another name")
        return False
    return bool(name)


def _of_folder(root: Section, own: OwnAgents) -> None:
    """The agents of the directory that the config names."""
    settings = root.table("daemon")
    if settings is None or not settings.given("agents_directory"):
        return
    folder = settings.file("agents_directory")
    if not settings.sound:
        return
    if not folder.exists():
        own.doubts.append(Problem((*settings.keys, "agents_directory"), f"there is no {folder}, so no agent in it"))
        return
    for each in load_folder(folder, catalog.names()):
        if isinstance(each, AgentError):
            root.problems.append(Problem(("daemon", "agents_directory"), each.message, each.remedy))
        else:
            own.agents[each.name] = each


def _of_lines(section: Section, name: str) -> Agent | None:
    """An agent by one expression for whole lines, as Mail::POPRelay had them."""
    line = section.text("line")
    section.finish()
    try:
        return LineAgent(name, line) if name and line else None
    except AgentError as error:
        section.refuse("line", error.message, error.remedy)
        return None


def _like(section: Section, name: str, own: OwnAgents) -> Agent | None:
    """A known agent under another syslog tag, or with other words for the service."""
    like = section.text("like")
    programs = [text for _, text in section.one_or_more("program", required=False)]
    services = _services(section)
    section.finish()
    try:
        model = own.find(like) if like else None
    except AgentError as error:
        section.refuse("like", error.message, error.remedy if like in own.names else own.remedy(like))
        return None
    if not programs and not services and section.sound:
        remedy = "give it a program, or services; or name that one itself"
        section.refuse("", f"it says nothing that is not so with {like!r}", remedy)
    if model is None or not section.sound or not name:
        return None
    said = model.service
    if services and isinstance(said, str):
        section.refuse("services", f"all that {like!r} says is {said}, whatever the lines say", "leave it out")
        return None
    service = {**said, **services} if not isinstance(said, str) else said
    if type(model).__init__ is not Agent.__init__:
        section.refuse("like", f"{like!r} is made in a way of its own", "name one that is built in")
        return None
    if type(model) is Agent:
        login, logout = tuple(_texts(model.login)), tuple(_texts(model.logout))
        return Agent(name=name, program=tuple(programs) or model.program, login=login, logout=logout, service=service)
    return type(model)(name=name, program=tuple(programs) or model.program, service=service)


def _texts(texts: str | tuple[str, ...]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


def _services(section: Section) -> Mapping[str, str]:
    table = section.table("services")
    if table is None:
        return {}
    services = {word: table.choice(word, ("pop3", "imap")) for word in table.spec}
    table.finish()
    if not services:
        section.refuse("services", "is empty", 'write what a word of the log means, like { "2110" = "pop3" }')
    return services


def _of_patterns(section: Section, name: str, doubts: list[Problem]) -> Agent | None:
    """An agent by patterns."""
    programs = [text for _, text in section.one_or_more("program")]
    logins = _patterns(section, name, "login", section.one_or_more("login"), doubts)
    logouts = _patterns(section, name, "logout", section.one_or_more("logout", required=False), doubts)
    service = section.choice("service", ("pop3", "imap"), "pop3")
    section.finish()
    for key, patterns in (("login", logins), ("logout", logouts)):
        if logouts and patterns and not any(SESSION in text for text in patterns):
            section.refuse(
                key, "has no group 'session', by which a logout finds its login", f"write {SESSION}[^ ]+) there"
            )
    if not section.sound or not name:
        return None
    return Agent(name=name, program=tuple(programs), login=tuple(logins), logout=tuple(logouts), service=service)


def _patterns(
    section: Section, name: str, kind: str, given: Sequence[tuple[int | None, str]], doubts: list[Problem]
) -> list[str]:
    """The patterns that can be used; those that cannot are refused, each at its own place."""
    found: list[str] = []
    for number, text in given:
        try:
            compiled(name, kind, text)
        except AgentError as error:
            section.refuse(kind, error.message.removeprefix(f"agent {name}: "), error.remedy, number=number)
            continue
        if not derived(text):
            section.refuse(
                kind,
                f"the {kind} pattern has no text of 4 characters that is always there",
                "write down more of what every such line says: candidates are found by it",
                number=number,
            )
            continue
        place = (*section.keys, kind) if number is None else (*section.keys, kind, number)
        findings = lint_pattern(kind, text, guards=True)
        for finding in findings:
            message, remedy = finding.sentence()
            if finding.severity == "error":
                section.refuse(kind, message, remedy, number=number)
            else:
                doubts.append(Problem(place, message, remedy))
        common = common_needle(text)
        if common:
            doubts.append(Problem(place, common, "write down more of what every such line says"))
        needs_guard = any(finding.about == "end" and finding.guarded for finding in findings)
        found.append((guarded(text) or text) if needs_guard else text)
    return found
