"""One agent at work on one program: a message becomes an event, or a near miss, or nothing."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Final

from poprelay.address import canonical
from poprelay.agents.base import Agent
from poprelay.agents.patterns import GROUPS
from poprelay.model import Address, Event, Instant, Login, Logout, Origin

_MOST: Final = 65536  # addresses, and words, remembered at once
_ABSENT: Final = (None,)
_ERRORS: Final = "surrogateescape"


class _Form:
    """One pattern: how to match it, and how to take user, address, service, TLS and session from its groups."""

    __slots__ = ("login", "match", "says_address", "says_tls", "take")

    def __init__(self, pattern: re.Pattern[bytes], login: bool) -> None:
        self.match: Final = pattern.match
        self.login: Final = login
        where = pattern.groupindex
        self.says_address: Final = "address" in where
        self.says_tls: Final = "tls" in where
        self.take: Final = itemgetter(*(where.get(group, 0) - 1 for group in GROUPS))  # -1 is the None put behind them


class Reader:
    """Turns the messages of one program into events by one agent's patterns.

    Holds no state but what it has seen before, to be quick. Does not raise, whatever the message.
    """

    def __init__(self, agent: Agent, program: str, login_needles: tuple[bytes, ...]) -> None:
        self._agent: Final = agent
        self._program: Final = program
        self._login_needles: Final = login_needles
        logins = tuple(_Form(pattern, True) for pattern in agent.login_patterns)
        ends = tuple(_Form(pattern, False) for pattern in agent.logout_patterns)
        self._forms: Final = (logins + ends, ends + logins)
        self._pid_is_session: Final = agent.pid_is_session
        self._name: Final = agent.name
        self._addresses: dict[bytes | None, Address | None] = {}
        self._services: dict[bytes | None, str | None] = {}
        self._tls: dict[bytes | None, bool | None] = {}

    def read(self, message: bytes, at: Instant, origin: Origin, pid: bytes, ends: bool) -> Event | None:
        """The event that this message is, or None. `ends`: it has the needle of a logout, so that is tried first."""
        for form in self._forms[ends]:
            found = form.match(message)
            if found is not None:
                break
        else:
            return None
        user, text, service, tls, session = form.take(found.groups() + _ABSENT)
        try:
            address = self._addresses[text]
            kind = self._services[service]
            encrypted = self._tls[tls] if form.says_tls else None
        except KeyError:
            self._learn(text, service, tls)
            address, kind = self._addresses[text], self._services[service]
            encrypted = self._tls[tls] if form.says_tls else None
        if kind is None or (address is None and form.says_address):
            return None
        if session:
            session = session.decode("utf-8", _ERRORS)
        else:
            session = f"pid:{pid.decode('utf-8', _ERRORS)}" if pid and self._pid_is_session else None
        if user is not None:
            user = user.decode("utf-8", _ERRORS)
        if form.login and address is not None:
            return Login(at, user, address, kind, encrypted, session, self._name, origin)
        return Logout(at, user, address, kind, session, self._name, origin)

    def is_near_miss(self, message: bytes, needle: bytes) -> bool:
        """Whether a message that has this needle, and that `read` did not take, looks like a login."""
        if self._agent.resembling is not None:
            return self._agent.resembling.match(message) is not None
        return needle in self._login_needles

    def _learn(self, address: bytes | None, service: bytes | None, tls: bytes | None) -> None:
        """Work out what these mean, and keep it."""
        for known in (self._addresses, self._services, self._tls):
            if len(known) >= _MOST:
                known.clear()
        self._addresses[address] = None if address is None else canonical(address.decode("latin-1"))
        self._services[service] = self._agent.service_of(_text(service), self._program)
        self._tls[tls] = self._agent.tls(_text(tls))


def _text(word: bytes | None) -> str | None:
    return None if word is None else word.decode("utf-8", _ERRORS)
