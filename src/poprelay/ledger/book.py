"""The grants that are visible now, with their sessions: found by address, by user, by session, and by when they end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Set
from itertools import islice
from typing import TypeAlias

from msgspec.structs import replace

from poprelay.ledger.record import Cell, Key, OpenSession
from poprelay.ledger.schedule import Entry, Schedule
from poprelay.ledger.sharded import Sharded
from poprelay.ledger.terms import SLACK
from poprelay.model import Address, Grant, Instant, SessionKey

Combination: TypeAlias = tuple[str, str, str, str]
"""Source, agent, host, service: what proves together that its logouts can be joined to their logins."""


class Holding:
    """Until when a grant with open sessions lasts: which combinations are proven, and for how long a session holds.

    Where `sources` are named, only sessions of these count.
    """

    __slots__ = ("joined", "max_session")

    def __init__(self, max_session: float, joined: set[Combination]) -> None:
        self.max_session = max_session
        self.joined = joined

    def holds(self, cell: Cell, sources: Set[str] | None = None) -> bool:
        """Whether an open session holds it: one whose combination has shown that it says when sessions end."""
        joined = self.joined
        return bool(joined) and any(
            combination(session) in joined and (sources is None or session.key.source in sources)
            for session in cell.sessions
        )

    def ends(self, cell: Cell, sources: Set[str] | None = None) -> Instant:
        """When it ends if nothing more happens."""
        until = cell.grant.until
        if cell.sessions and self.holds(cell, sources):
            return max(until, cell.grant.seen + self.max_session)
        return until

    def live(self, cell: Cell, now: Instant, sources: Set[str] | None = None) -> bool:
        """Whether it allows anything now."""
        return plainly_live(cell.grant, now) or bool(
            cell.sessions
            and -SLACK <= now - cell.grant.seen < self.max_session
            and self.holds(cell, sources)
        )  # fmt: skip


def plainly_live(grant: Grant, now: Instant) -> bool:
    """Whether it is live without regard to sessions: not over, and with no more time left than it may ever have."""
    return 0 < grant.until - now <= grant.span + SLACK


def clamped(cell: Cell, now: Instant) -> Cell:
    """As the clock lets it be: with no more than its span left, and nothing that happened after now."""
    grant = cell.grant
    until = now + grant.span
    if grant.until <= until and grant.seen <= now:  # the latest of its times
        return cell
    until = min(grant.until, until)
    opened, last_login, seen = min(grant.opened, now), min(grant.last_login, now), min(grant.seen, now)
    return Cell(replace(grant, until=until, opened=opened, last_login=last_login, seen=seen), cell.sessions)


def combination(session: OpenSession) -> Combination:
    """What must be proven before this session holds anything."""
    key = session.key
    return (key.source, session.agent, key.host, key.service)


class Book:
    """All visible grants. A place with one grant holds the cell itself, one with several a dict of cells."""

    def __init__(self, max_session: float) -> None:
        self.places: Sharded[Address, Cell | dict[Key, Cell]] = Sharded()
        self.users: Sharded[str, Address | set[Address]] = Sharded()
        self.sessions: Sharded[SessionKey, OpenSession] = Sharded()
        self.holding = Holding(max_session, set())
        self.size = 0
        self.schedule = Schedule(self._end)

    def get(self, key: Key) -> Cell | None:
        """The cell of one grant, live or not."""
        place = self.places.get(key[0])
        if isinstance(place, Cell):
            grant = place.grant
            return place if grant.user == key[1] and grant.basis == key[2] else None
        return None if place is None else place.get(key)

    def at(self, address: Address) -> tuple[Cell, ...]:
        """The cells of one address."""
        place = self.places.get(address)
        if place is None:
            return ()
        return (place,) if isinstance(place, Cell) else tuple(place.values())

    def of(self, user: str) -> tuple[Address, ...]:
        """The addresses where a user has grants."""
        have = self.users.get(user)
        if have is None:
            return ()
        return tuple(have) if isinstance(have, set) else (have,)

    def __iter__(self) -> Iterator[Cell]:
        for place in self.places.values():
            if isinstance(place, Cell):
                yield place
            else:
                yield from place.values()

    def load(self, cells: Iterable[Cell]) -> None:
        """Begin with these, each another grant."""
        self.schedule.fill(filter(None, map(self._load, cells)))

    def _load(self, cell: Cell) -> Entry | None:
        self._put(cell)
        end = self.holding.ends(cell)
        return (end, *cell.key) if end < math.inf else None

    def put(self, cell: Cell) -> None:
        """Add a grant, or replace the one with its key."""
        before = self._put(cell)
        if before is None or (
            (self.holding.joined or cell.grant.until < before.grant.until)
            and self.holding.ends(cell) < self.holding.ends(before)
        ):
            self.wake(cell)

    def _put(self, cell: Cell) -> Cell | None:
        """Returns what it replaces."""
        grant = cell.grant
        address = grant.address
        places = self.places.shard(address)
        place = places.get(address)
        before: Cell | None = None
        if place is None:
            places[address] = cell
        elif not isinstance(place, Cell):
            before = place.get(cell.key)
            place[cell.key] = cell
        elif place.grant.user == grant.user and place.grant.basis == grant.basis:
            before = place
            places[address] = cell
        else:
            places[address] = {place.key: place, cell.key: cell}
        if before is None:
            self._add(cell.key)
        if cell.sessions or before is not None:
            self._replace_sessions(before.sessions if before is not None else (), cell.sessions)
        return before

    def remove(self, key: Key) -> Cell | None:
        """Take a grant away, and forget its sessions; returns what it was."""
        cell = self.get(key)
        if cell is None:
            return None
        places = self.places.shard(key[0])
        place = places[key[0]]
        if isinstance(place, Cell):
            del places[key[0]]
        else:
            del place[key]
            if len(place) == 1:
                places[key[0]] = next(iter(place.values()))
        self._replace_sessions(cell.sessions, ())
        self.size -= 1
        if not any(other.grant.user == key[1] for other in self.at(key[0])):
            users = self.users.shard(key[1])
            have = users[key[1]]
            if isinstance(have, set) and len(have) > 1:
                have.discard(key[0])
            else:
                del users[key[1]]
        return cell

    def due(self, now: Instant, looks: int | None = None) -> Iterator[Cell]:
        """The cells that have ended, of the next `looks` in the schedule or of all. It is only read: who is not taken
        away is due again."""
        ends = self.holding.ends
        for cell in filter(None, map(self.get, islice(self.schedule.due(now), looks))):
            if ends(cell) <= now:
                yield cell

    def wake(self, cell: Cell) -> None:
        """Have it looked at when it ends. Later on it may end later, but not sooner without another call."""
        end = self.holding.ends(cell)
        if end < math.inf:
            self.schedule.add(end, cell.key)

    def with_sessions(self, sources: Set[str]) -> Iterator[Address]:
        """The addresses of grants that sessions of these sources may hold. Between two of them others may come."""
        if any(source in sources for source, _, _, _ in self.holding.joined):
            for key in self.sessions:
                session = self.sessions.get(key) if key.source in sources else None
                if session is not None:
                    yield session.address

    def _end(self, key: Key) -> Instant | None:
        cell = self.get(key)
        return None if cell is None else self.holding.ends(cell)

    def _add(self, key: Key) -> None:
        address, user, _ = key
        self.size += 1
        users = self.users.shard(user)
        have = users.get(user)
        if have is None:
            users[user] = address
        elif isinstance(have, set):
            have.add(address)
        elif have != address:
            users[user] = {have, address}

    def _replace_sessions(self, before: tuple[OpenSession, ...], after: tuple[OpenSession, ...]) -> None:
        more = len(before) + 1 - len(after)
        if more >= 0 and before[more:] == after[:-1]:  # a login: one has come, and perhaps the oldest is forgotten
            before, after = before[:more], after[-1:]
        for session in before:
            if session not in after:
                sessions = self.sessions.shard(session.key)
                found = sessions.pop(session.key, None)
                if found is not None and found is not session and found != session:  # the key was used again
                    sessions[session.key] = found
        for session in after:
            self.sessions.shard(session.key)[session.key] = session
