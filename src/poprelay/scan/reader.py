"""One agent at work on one program: a message becomes an event, or a near miss, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, TypeAlias, TypeVar

from poprelay.address import canonical
from poprelay.agents.base import Agent
from poprelay.agents.patterns import GROUPS
from poprelay.model import Event, Instant, Login, Logout, Origin

ERRORS: Final = "surrogateescape"

_MOST: Final = 131_072  # of one kind of words, remembered at once by one reader
_ABSENT: Final = (b"",)

T = TypeVar("T")

Maker: TypeAlias = Callable[[Sequence[bytes], Instant, Origin, bytes], Event | None]
"""What the groups took, when and where that was said, and the process id: the event, or None if it is none."""

Said: TypeAlias = tuple[bytes, bytes, bytes, bytes, bytes]
"""What a pattern's groups took, in the order of `GROUPS`; empty: nothing."""


class Form:
    """One pattern: how to match it, and how to take user, address, service, TLS and session from its groups."""

    __slots__ = ("_places", "login", "match", "pattern", "says_address", "says_tls", "says_user")

    def __init__(self, pattern: re.Pattern[bytes], login: bool) -> None:
        self.pattern: Final = pattern
        self.match: Final = pattern.match
        self.login: Final = login
        where = pattern.groupindex
        self.says_user: Final = "user" in where
        self.says_address: Final = "address" in where
        self.says_tls: Final = "tls" in where
        self._places: Final = itemgetter(*(where.get(group, 0) - 1 for group in GROUPS))  # -1 is what is put behind

    def said(self, found: re.Match[bytes]) -> Said:
        """What a match of this form says."""
        taken: Said = self._places(found.groups(b"") + _ABSENT)
        return taken


class _Meanings(dict[bytes, T]):
    """What words mean, each worked out when it is first asked for."""

    __slots__ = ("_meaning",)

    def __init__(self, meaning: Callable[[bytes], T]) -> None:
        super().__init__()
        self._meaning = meaning

    def __missing__(self, word: bytes) -> T:
        if len(self) >= _MOST:
            self.clear()
        meaning = self[word] = self._meaning(word)
        return meaning


class Reader:
    """Turns the messages of one program into events by one agent's patterns.

    Holds no state but what it has seen before, to be quick. Does not raise, whatever the message.
    """

    def __init__(self, agent: Agent, program: str, login_needles: tuple[bytes, ...]) -> None:
        self._name: Final = agent.name
        self._pid_is_session: Final = agent.pid_is_session
        self._addresses: Final = _Meanings(lambda word: canonical(word.decode("latin-1")))
        self._services: Final = _Meanings(lambda word: agent.service_of(_text(word), program))
        secure = program in agent.secure_programs
        self._tls: Final = _Meanings(lambda word: secure or agent.tls(_text(word)))
        self._agent: Final = agent
        self._program: Final = program
        self._login_needles: Final = login_needles
        logins = tuple(Form(pattern, True) for pattern in agent.login_patterns)
        ends = tuple(Form(pattern, False) for pattern in agent.logout_patterns)
        self._forms: Final = (logins + ends, ends + logins)
        self._makers: dict[tuple[Form, Sequence[int]], Maker] = {}

    def read(self, message: bytes, at: Instant, origin: Origin, pid: bytes, ends: bool) -> Event | None:
        """The event that this message is, or None. `ends`: it has the needle of a logout, so that is tried first."""
        for form in self._forms[ends]:
            found = form.match(message)
            if found is not None:
                return self.event(form, form.said(found), at, origin, pid)
        return None

    def first(self, ends: bool) -> Form | None:
        """The form that `read` tries first, if it does no more with it than `made` does."""
        return self._forms[ends][0]

    def event(self, form: Form, said: Said, at: Instant, origin: Origin, pid: bytes) -> Event | None:
        """The event of a message in which the groups took this."""
        return self.maker(form)(said, at, origin, pid)

    def maker(self, form: Form, places: Sequence[int] = range(len(GROUPS))) -> Maker:
        """Makes events of what the form's groups took: those in `GROUPS` stand at these places of its first argument.

        The same to all who ask; a closure, because it runs once for each event.
        """
        if (form, places) not in self._makers:
            self._makers[form, places] = (
                self._making_logins(form, places) if form.login else self._making_logouts(form, places)
            )
        return self._makers[form, places]

    def _making_logins(self, form: Form, places: Sequence[int]) -> Maker:
        name, addresses, services, encrypted = self._name, self._addresses, self._services, self._tls
        user_at, address_at, service_at, tls_at, key_at = places
        says_tls = form.says_tls

        def login(row: Sequence[bytes], at: Instant, origin: Origin, pid: bytes) -> Event | None:
            address = addresses[row[address_at]]
            service = services[row[service_at]]
            user, key = row[user_at], row[key_at]
            if address is None or service is None or not user:
                return None
            tls = encrypted[row[tls_at]] if says_tls else None
            session = key.decode("utf-8", ERRORS) if key else self._session_of(pid)
            return Login(at, user.decode("utf-8", ERRORS), address, service, tls, session, name, origin)

        return login

    def _making_logouts(self, form: Form, places: Sequence[int]) -> Maker:
        name, addresses, services = self._name, self._addresses, self._services
        user_at, address_at, service_at, _, key_at = places
        says_address, says_user = form.says_address, form.says_user

        def logout(row: Sequence[bytes], at: Instant, origin: Origin, pid: bytes) -> Event | None:
            address = addresses[row[address_at]] if says_address else None
            service = services[row[service_at]]
            if service is None or (says_address and address is None):
                return None
            key = row[key_at]
            user = row[user_at].decode("utf-8", ERRORS) if says_user else None
            session = key.decode("utf-8", ERRORS) if key else self._session_of(pid)
            return Logout(at, user, address, service, session, name, origin)

        return logout

    def _session_of(self, pid: bytes) -> str | None:
        """What joins the logout to its login where the message does not say it."""
        return f"pid:{pid.decode('utf-8', ERRORS)}" if pid and self._pid_is_session else None

    def is_near_miss(self, message: bytes) -> bool:
        """Whether a message that `read` did not take looks like a login."""
        if self._agent.resembling is not None:
            return self._agent.resembling.match(message) is not None
        return any(needle in message for needle in self._login_needles)


def _text(word: bytes) -> str | None:
    return word.decode("utf-8", ERRORS) or None
