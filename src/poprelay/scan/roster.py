"""Who reads what: the needles to look for, the readers of each program, and which lines go the short way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from poprelay.agents.base import Agent
from poprelay.errors import AgentError
from poprelay.scan.arrange import arranged, trimmed
from poprelay.scan.joining import JoiningReader
from poprelay.scan.needles import fewest, needles
from poprelay.scan.reader import Reader
from poprelay.scan.rows import Columns, RowReader
from poprelay.scan.sessions import Sessions
from poprelay.scan.swift import Swift

_BLOBS: Final = (b'"MESSAGE":[', b'"MESSAGE": [')
"""In a journal entry whose message is not UTF-8: bytes, in which no needle can be seen. journalctl writes no blank."""


class Roster:
    """The agents of one source at work. Raises AgentError: see `scan.needles`."""

    def __init__(self, agents: Sequence[Agent], sessions: Sessions, columns: Columns) -> None:
        self.whole: Final[list[Reader]] = []
        """Readers that see whole lines, of whatever program."""
        self._sessions: Final = sessions
        self._columns: Final = columns
        self._named: Final[dict[bytes, list[Reader]]] = {}
        self._suffixed: Final[dict[bytes, list[Reader]]] = {}
        logins: dict[bytes, list[Reader]] = {}
        ends: dict[bytes, list[Reader]] = {}
        for agent in agents:
            if agent.whole_line:
                of_logins = _needles_of_lines(agent)
                self.whole.append(Reader(agent, "", of_logins))
                logins |= {text: [] for text in of_logins}
                continue
            of_logins, of_ends = needles(agent)
            readers = [self._enlist(agent, program, of_logins) for program in agent.programs]
            for texts, owners in ((of_logins, logins), (of_ends, ends)):
                for text in texts:
                    owners.setdefault(trimmed(text), readers)
        if agents:
            logins |= {text: [] for text in _BLOBS}
        self.needles: Final = arranged(fewest((*logins, *ends)))
        """What to look for. One is in every line that is an event, or that an agent must see to know one."""
        self.ends: Final = tuple(needle not in logins for needle in self.needles)
        """Of each needle, whether it announces the end of a session."""
        owned = [logins.get(needle) or ends.get(needle, []) for needle in self.needles]
        self.swifts: Final = [
            None if self.whole else _swift(readers, end) for readers, end in zip(owned, self.ends, strict=True)
        ]
        """Of each needle, how lines with it are read the short way, if there is one."""

    def readers(self, program: bytes) -> list[Reader] | None:
        """Who reads the messages of that program: those that name it, and those that name what follows its slash."""
        named = self._named.get(program)
        prefix, slash, name = program.rpartition(b"/")
        suffixed = self._suffixed.get(name) if prefix and slash else None
        if named is None or suffixed is None:
            return named or suffixed
        return named + suffixed

    def _enlist(self, agent: Agent, program: str, of_logins: tuple[bytes, ...]) -> Reader:
        table = self._suffixed if program.startswith("*/") else self._named
        name = program.removeprefix("*/")
        reader: Reader
        if agent.connect_patterns:
            reader = JoiningReader(agent, name, of_logins, self._sessions)
        elif agent.columns:
            reader = RowReader(agent, name, of_logins, self._columns)
        else:
            reader = Reader(agent, name, of_logins)
        table.setdefault(name.encode(), []).append(reader)
        return reader


def _swift(readers: list[Reader], ends: bool) -> Swift | None:
    form = readers[0].first(ends) if readers else None
    try:
        return None if form is None else Swift(form, readers)
    except ValueError:
        return None


def _needles_of_lines(agent: Agent) -> tuple[bytes, ...]:
    """Its needles; or, where its expression has no text that is always there, the end of every line."""
    try:
        return needles(agent)[0]
    except AgentError:
        return (b"\n",)
