"""Logins whose stamp was ahead of our clock: when they were first read, so that reading them again changes nothing.

Any other login counts from its own stamp, however often it is read. One of these counts from its first reading, which
its line does not tell.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

import msgspec

from poprelay.model import Instant, Login

MOST: Final = 65_536
"""Logins remembered at most; those first read longest ago go before that. A host whose clock is years ahead makes one
of every login, and none of them ever ends."""


class Early(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """When a login was first read, and until when its stamp would open a grant if it were read anew."""

    read: Instant
    until: Instant


class Ahead:
    """All that are remembered, by their mark."""

    def __init__(self) -> None:
        self._logins: dict[bytes, Early] = {}
        self._next_end = math.inf

    def __bool__(self) -> bool:
        return bool(self._logins)

    def get(self, login: bytes) -> Early | None:
        return self._logins.get(login)

    def put(self, login: bytes, early: Early) -> None:
        self._logins[login] = early
        self._next_end = min(self._next_end, early.until)

    def remove(self, login: bytes) -> None:
        self._logins.pop(login, None)

    def ended(self, now: Instant) -> list[bytes]:
        """Those that need no remembering any more, and those that are too many."""
        surplus = len(self._logins) - MOST
        if now < self._next_end and surplus <= 0:
            return []
        ended = [login for login, early in self._logins.items() if early.until <= now]
        kept = self._logins.keys() - set(ended)
        self._next_end = min((self._logins[login].until for login in kept), default=math.inf)
        surplus = len(kept) - MOST
        if surplus > 0:
            ended += sorted(kept, key=lambda login: self._logins[login].read)[:surplus]
        return ended


def mark(login: Login) -> bytes:
    """What a login is known by when it is read again, whatever it is called by then: the same line, the same mark."""
    said = (login.at, login.user, login.address, login.service, login.session, login.origin.host)
    return hashlib.blake2b(repr(said).encode("utf-8", "backslashreplace"), digest_size=16).digest()
