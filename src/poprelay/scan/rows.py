"""Logs of rows whose columns a line names, which may come again with others: Microsoft's protocol logs.

    #Fields: dateTime,sessionId,seqNumber,sIp,cIp,user,duration,rqsize,rpsize,command,parameters,context
    2026-11-23T08:20:00.000Z,00000000C0000005,4,10.0.0.1:995,192.0.2.7:50001,ann,47,10,30,pass,*****,R=ok

A row is CSV (RFC 4180). An agent's message is the columns that it asks for, with a tab between them. The names hold
until the next such line, and over a restart. A row before any, with more or fewer columns, or with a tab or a control
character in what is asked for, is nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Final

from poprelay.agents.base import Agent
from poprelay.model import Event, Instant, Origin
from poprelay.scan.reader import Form, Reader

MARK: Final = b"#Fields:"
"""What a line that names the columns begins with."""

_ERRORS: Final = "surrogateescape"


class Columns:
    """The names of one source's columns, as the log last gave them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def learn(self, line: bytes) -> None:
        """Take the names from a line that begins with `MARK`."""
        text = line.removeprefix(MARK).decode("utf-8", _ERRORS)
        self.names = [name.strip() for name in text.rstrip("\r").split(",")]

    def pick(self, row: bytes, wanted: Sequence[str]) -> bytes | None:
        """These columns of the row, with a tab between them, or None."""
        if any(self.names.count(name) != 1 for name in wanted):
            return None
        try:
            values = next(csv.reader([row.decode("utf-8", _ERRORS).rstrip("\r")], strict=True), [])
        except csv.Error:  # a quote that is not closed, or stands where none may
            return None
        picked = [values[self.names.index(name)] for name in wanted] if len(values) == len(self.names) else []
        if not picked or any(character < " " for value in picked for character in value):
            return None
        return "\t".join(picked).encode("utf-8", _ERRORS)


class RowReader(Reader):
    """Turns rows into events: the agent's patterns see the columns that it asks for."""

    def __init__(self, agent: Agent, program: str, login_needles: tuple[bytes, ...], columns: Columns) -> None:
        super().__init__(agent, program, login_needles)
        self._columns: Final = columns
        self._wanted: Final = agent.columns

    def read(self, message: bytes, at: Instant, origin: Origin, pid: bytes, ends: bool) -> Event | None:
        """The event that this row is, or None."""
        picked = self._columns.pick(message, self._wanted)
        return None if picked is None else super().read(picked, at, origin, pid, ends)

    def first(self, ends: bool) -> Form | None:  # noqa: ARG002
        """None: no form sees a row as it stands there."""
        return None

    def is_near_miss(self, message: bytes) -> bool:
        """Whether the row looks like a login."""
        picked = self._columns.pick(message, self._wanted)
        return picked is not None and super().is_near_miss(picked)
