"""The operator's own agents, `[[agents]]` in the config: for a server that writes its logins in its own way."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.agents.line import LineAgent
from poprelay.agents.patterns import compiled
from poprelay.config.section import Section
from poprelay.errors import AgentError
from poprelay.scan.needles import derived

SESSION: Final = "(?P<session>"


def read_agents(root: Section) -> dict[str, Agent | None]:
    """Each own agent by its name; None for one that is wrong, so that who names it need not be told again."""
    found: dict[str, Agent | None] = {}
    for section in root.tables("agents"):
        name = section.text("name")
        if section.given("line"):
            _check_name(section, name, found)
            found[name] = _of_lines(section, name)
            continue
        programs = [text for _, text in section.one_or_more("program")]
        logins = _patterns(section, name, "login", section.one_or_more("login"))
        logouts = _patterns(section, name, "logout", section.one_or_more("logout", required=False))
        service = section.choice("service", ("pop3", "imap"), "pop3")
        section.finish()
        for key, patterns in (("login", logins), ("logout", logouts)):
            if logouts and patterns and not any(SESSION in text for text in patterns):
                section.refuse(
                    key, "has no group 'session', by which a logout finds its login", f"write {SESSION}[^ ]+) there"
                )
        if _check_name(section, name, found):
            found[name] = (
                Agent(name=name, program=tuple(programs), login=tuple(logins), logout=tuple(logouts), service=service)
                if section.sound
                else None
            )
    return found


def _check_name(section: Section, name: str, found: Container[str]) -> bool:
    if name in found or name in catalog.names():
        section.refuse("name", f"there is an agent {name!r} already", "give it another name")
        return False
    return bool(name)


def _of_lines(section: Section, name: str) -> Agent | None:
    """An agent by one expression for whole lines, as Mail::POPRelay had them."""
    line = section.text("line")
    section.finish()
    try:
        return LineAgent(name, line) if name and line else None
    except AgentError as error:
        section.refuse("line", error.message, error.remedy)
        return None


def _patterns(section: Section, name: str, kind: str, given: Sequence[tuple[int | None, str]]) -> list[str]:
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
        found.append(text)
    return found
