"""Half-seen sessions: what a connect line said, until the login line of the same process completes it.

    Session from 192.0.2.7           a connect: kept, in place of whatever this process said before
    Authentication passed for ann    a login: takes it, so that it completes one login and no more
    Authentication failed for ann    an end: it is gone

A login without an entry grants nothing. An entry is too old after its agent's `connect_lasts`, by the log's own time,
and too new for a login whose stamp is earlier by more than clocks differ. At most `MOST` are kept, the latest: under a
flood of connects honest logins are missed, and none is made up.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from poprelay.model import Instant
from poprelay.scan.stamps import SLACK

MOST: Final = 1024
"""Sessions that are half seen at once; they are written with the source's position, so not more."""

Key: TypeAlias = tuple[bytes, bytes, bytes, bytes]
"""Agent, host, program, process: who must say both lines."""


class Half(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a connect line said (an address or a user that is empty: nothing), when, and until when that holds."""

    at: Instant
    until: Instant
    address: bytes
    user: bytes


class Kept(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A half-seen session as it is stored."""

    key: Key
    half: Half


class Sessions:
    """The half-seen sessions of one source."""

    def __init__(self) -> None:
        self._halves: dict[Key, Half] = {}

    def connect(self, key: Key, half: Half) -> None:
        """This process now serves another client."""
        halves = self._halves
        halves.pop(key, None)
        while halves:
            oldest, stale = next(iter(halves.items()))
            if len(halves) < MOST and stale.until >= half.at:
                break
            del halves[oldest]
        halves[key] = half

    def find(self, key: Key, at: Instant) -> Half | None:
        """What this process said, if that still holds for a line of that time."""
        half = self._halves.get(key)
        return half if half is not None and half.at - SLACK <= at <= half.until else None

    def end(self, key: Key) -> None:
        """Forget what this process said."""
        self._halves.pop(key, None)

    def state(self) -> list[Kept]:
        """All of them, oldest first."""
        return [Kept(key, half) for key, half in self._halves.items()]

    def restore(self, state: list[Kept]) -> None:
        """Take up what `state` gave."""
        self._halves = {kept.key: kept.half for kept in state[-MOST:]}
