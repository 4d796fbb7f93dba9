"""Crowds: addresses where more users log in than one client has. They are a gateway or a proxy, and get no grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from poprelay.model import Instant


class Crowd:
    """The users who logged in from one address within a period, once they were too many.

    It counts exactly as far as the cap and one more, and remembers no others: the `limit + 1` who logged in last.
    """

    __slots__ = ("_users",)

    def __init__(self, users: Iterable[tuple[str, Instant]] = ()) -> None:
        self._users = dict(users)
        """For each user, until when that login counts; in the order of logging in."""

    def __iter__(self) -> Iterator[tuple[str, Instant]]:
        return iter(self._users.items())

    def note(self, user: str, until: Instant, now: Instant, limit: int) -> None:
        """This user logged in, which counts until then."""
        until = max(until, self._users.pop(user, until))
        self._users = {name: end for name, end in self._users.items() if end > now}
        while len(self._users) > limit:
            del self._users[next(iter(self._users))]
        self._users[user] = until

    def count(self, now: Instant) -> int:
        """How many users logged in within the period that ends now."""
        return sum(end > now for end in self._users.values())

    def clamp(self, latest: Instant) -> None:
        """The clock was set back: nothing counts any longer than until `latest`."""
        for user, until in self._users.items():
            self._users[user] = min(until, latest)

    def over(self, now: Instant) -> bool:
        """Whether nobody logged in from there within the period that ends now."""
        return all(end <= now for end in reversed(self._users.values()))

    def to_bytes(self) -> bytes:
        """What the store keeps. User names may be any bytes.

        >>> dict(Crowd.from_bytes(Crowd([("ann", 9.5), ("b\\udcff", 7.25)]).to_bytes()))
        {'ann': 9.5, 'b\\udcff': 7.25}
        """
        rows = [(user.encode("utf-8", "surrogateescape"), until) for user, until in self]
        return msgspec.msgpack.encode(rows)

    @classmethod
    def from_bytes(cls, packed: bytes) -> Crowd:
        """What `to_bytes` wrote; msgspec.DecodeError if it is not that."""
        rows = msgspec.msgpack.decode(packed, type=list[tuple[bytes, float]])
        return cls((user.decode("utf-8", "surrogateescape"), until) for user, until in rows)
