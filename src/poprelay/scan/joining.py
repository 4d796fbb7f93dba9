"""An agent at work whose logins take several lines: see `poprelay.scan.sessions`."""

from __future__ import annotations

from typing import Final

from poprelay.address import canonical
from poprelay.agents.base import Agent
from poprelay.model import Address, Event, Instant, Origin
from poprelay.scan.reader import Form, Reader
from poprelay.scan.sessions import Half, Key, Sessions

_NOBODY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what a server writes for a client that it cannot name


class JoiningReader(Reader):
    """Turns the messages of one program into events, each login joined to the connect before it.

    `sessions` are those of the whole source: they outlive a restart.
    """

    def __init__(self, agent: Agent, program: str, login_needles: tuple[bytes, ...], sessions: Sessions) -> None:
        super().__init__(agent, program, login_needles)
        self._sessions: Final = sessions
        self._connects: Final = tuple(Form(pattern, False) for pattern in agent.connect_patterns)
        self._logins: Final = tuple(Form(pattern, True) for pattern in agent.login_patterns)
        self._logouts: Final = tuple(Form(pattern, False) for pattern in agent.logout_patterns)
        self._ends: Final = tuple(pattern.match for pattern in agent.end_patterns)
        self._lasts: Final = agent.connect_lasts

    def read(self, message: bytes, at: Instant, origin: Origin, pid: bytes, ends: bool) -> Event | None:  # noqa: ARG002
        """The event that this message completes, or None. The order is always connect, login, end."""
        key = (self._name.encode(), origin.host.encode("utf-8", "surrogateescape"), self._program.encode(), pid)
        for form in self._connects:
            found = form.match(message)
            if found is not None:
                user, address, *_ = form.said(found)
                self._connect(key, Half(at, at + self._lasts, address, user), form.says_address)
                return None
        half = self._sessions.find(key, at) if pid else None
        for form in self._logins:
            found = form.match(message)
            if found is None:
                continue
            user, address, service, tls, session = form.said(found)
            if half is not None:
                if not (_agree(user, half.user) and _same(address, half.address)):
                    continue
                user, address = user or half.user, address or half.address
            self._sessions.end(key)
            if not user or _named(address) is None:
                return None
            return self.event(form, (user, address, service, tls, session), at, origin, pid)
        for form in self._logouts:
            found = form.match(message)
            if found is not None:
                self._sessions.end(key)
                return self.event(form, form.said(found), at, origin, pid)
        if any(match(message) for match in self._ends):
            self._sessions.end(key)
        return None

    def first(self, ends: bool) -> Form | None:  # noqa: ARG002
        """None: what a line means depends on those before it."""
        return None

    def _connect(self, key: Key, half: Half, says_address: bool) -> None:
        if key[-1] and not (says_address and _named(half.address) is None):
            self._sessions.connect(key, half)
        else:
            self._sessions.end(key)


def _named(address: bytes) -> Address | None:
    """The client's address, if that is one."""
    found = canonical(address.decode("latin-1"))
    return None if found in _NOBODY else found


def _agree(one: bytes, other: bytes) -> bool:
    return not one or not other or one == other


def _same(one: bytes, other: bytes) -> bool:
    return not one or not other or _named(one) == _named(other)
