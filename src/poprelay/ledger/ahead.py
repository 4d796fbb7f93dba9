"""Logins whose stamp was ahead of our clock: when they were first read, so that reading them again changes nothing.

Any other login counts from its own stamp, however often it is read. One of these counts from its first reading, which
its line does not tell.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

import msgspec

from poprelay.model import Instant, Login

MOST: Final = 65_536
"""Logins remembered at most; those first read longest ago go before that. A host whose clock is years ahead makes one
of every login, and none of them ever ends."""
_SPARE: Final = 256
"""Entries that the heap may have in any case before it is made anew."""


class Early(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """When a login was first read, and until when its stamp would open a grant if it were read anew."""

    read: Instant
    until: Instant


class Ahead:
    """All that are remembered, by their mark, in the order in which they were first read."""

    def __init__(self) -> None:
        self.by_mark: OrderedDict[bytes, Early] = OrderedDict()  # a dict looks long for its first, once many are gone
        self._ends: list[tuple[Instant, bytes]] = []
        """A heap of when each ends; it may know some that are gone."""

    def get(self, login: bytes) -> Early | None:
        return self.by_mark.get(login)

    def put(self, login: bytes, early: Early) -> None:
        self.by_mark[login] = early
        heappush(self._ends, (early.until, login))
        if len(self._ends) > 4 * len(self.by_mark) + _SPARE:
            self._ends = [(one.until, name) for name, one in self.by_mark.items()]
            heapify(self._ends)

    def remove(self, login: bytes) -> None:
        self.by_mark.pop(login, None)
        while self._ends and self._ends[0][1] not in self.by_mark:
            heappop(self._ends)

    def ended(self, now: Instant) -> list[bytes]:
        """Those that need no remembering any more, and those that are too many. Looks at these alone."""
        ended = {login for login in self._due(now) if login in self.by_mark and self.by_mark[login].until <= now}
        surplus = len(self.by_mark) - len(ended) - MOST
        kept = (login for login in self.by_mark if login not in ended)
        return [*ended, *islice(kept, max(surplus, 0))]

    def _due(self, now: Instant) -> Iterator[bytes]:
        """Whose entries in the heap are due."""
        places = [0]
        for place in places:
            if place < len(self._ends) and self._ends[place][0] <= now:
                places += (2 * place + 1, 2 * place + 2)
                yield self._ends[place][1]


def mark(login: Login) -> bytes:
    """What a login is known by when it is read again, whatever it is called by then: the same line, the same mark."""
    said = (login.at, login.user, login.address, login.service, login.session, login.origin.host)
    return hashlib.blake2b(repr(said).encode("utf-8", "backslashreplace"), digest_size=16).digest()
