"""The grants that are visible now, with their sessions: found by address, by user, by session, and by when they end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, TypeAlias

from msgspec.structs import replace

from poprelay.ledger.record import Cell, Key, OpenSession
from poprelay.ledger.terms import SLACK
from poprelay.model import Address, Basis, Grant, Instant, SessionKey

Combination: TypeAlias = tuple[str, str, str, str]
"""Source, agent, host, service: what proves together that its logouts can be joined to their logins."""

_SPARE: Final = 64
"""Entries of the schedule that may be obsolete in any case, before it is made anew."""
_LOOKS: Final = 500
"""Entries that are brought up to date at one look for the next end."""


class Holding:
    """Until when a grant with open sessions lasts: which combinations are proven, and for how long a session holds."""

    __slots__ = ("joined", "max_session")

    def __init__(self, max_session: float, joined: set[Combination]) -> None:
        self.max_session = max_session
        self.joined = joined

    def holds(self, cell: Cell) -> bool:
        """Whether an open session holds it: one whose combination has shown that it says when sessions end."""
        joined = self.joined
        return bool(joined) and any(combination(session) in joined for session in cell.sessions)

    def ends(self, cell: Cell) -> Instant:
        """When it ends if nothing more happens."""
        until = cell.grant.until
        if cell.sessions and self.holds(cell):
            return max(until, cell.grant.seen + self.max_session)
        return until

    def live(self, cell: Cell, now: Instant) -> bool:
        """Whether it allows anything now."""
        return plainly_live(cell.grant, now) or bool(
            cell.sessions
            and -SLACK <= now - cell.grant.seen < self.max_session
            and self.holds(cell)
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
        self.places: dict[Address, Cell | dict[Key, Cell]] = {}
        self.users: dict[str, Address | set[Address]] = {}
        self.sessions: dict[SessionKey, OpenSession] = {}
        self.standing: set[Key] = set()
        self.holding = Holding(max_session, set())
        self.size = 0
        self._heap: list[tuple[Instant, Address, str, Basis]] = []

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

    def put(self, cell: Cell) -> None:
        """Add a grant, or replace the one with its key."""
        grant = cell.grant
        key = cell.key
        place = self.places.get(grant.address)
        before: Cell | None = None
        if place is None:
            self.places[grant.address] = cell
        elif not isinstance(place, Cell):
            before = place.get(key)
            place[key] = cell
        elif place.key == key:
            before = place
            self.places[grant.address] = cell
        else:
            self.places[grant.address] = {place.key: place, key: cell}
        if before is None:
            self._add(key)
            self._wake(cell)
        elif (self.holding.joined or grant.until < before.grant.until) and (
            self.holding.ends(cell) < self.holding.ends(before)
        ):
            self._wake(cell)
        if cell.sessions or before is not None:
            self._replace_sessions(before.sessions if before is not None else (), cell.sessions)

    def remove(self, key: Key) -> Cell | None:
        """Take a grant away, and forget its sessions; returns what it was."""
        cell = self.get(key)
        if cell is None:
            return None
        place = self.places[key[0]]
        if isinstance(place, Cell):
            del self.places[key[0]]
        else:
            del place[key]
            if len(place) == 1:
                self.places[key[0]] = next(iter(place.values()))
        self._replace_sessions(cell.sessions, ())
        self.size -= 1
        self.standing.discard(key)
        if not any(other.grant.user == key[1] for other in self.at(key[0])):
            have = self.users[key[1]]
            if isinstance(have, set) and len(have) > 1:
                have.discard(key[0])
            else:
                del self.users[key[1]]
        if len(self._heap) > 2 * self.size + _SPARE:
            self.reschedule()
        return cell

    def due(self, now: Instant) -> Iterator[Cell]:
        """The cells that have ended, in the order of the schedule, which is only read: who is not taken away is due
        again, and what is left of those who were stands at its top, where `next_end` clears it off.
        """
        heap = self._heap
        ends = self.holding.ends
        ahead = [(entry, 0) for entry in heap[:1]]
        while ahead:
            entry, number = heappop(ahead)
            if entry[0] > now:
                return
            for below in (2 * number + 1, 2 * number + 2):
                if below < len(heap):
                    heappush(ahead, (heap[below], below))
            cell = self.get(entry[1:])
            if cell is not None and ends(cell) <= now:
                yield cell

    def next_end(self) -> Instant | None:
        """When the next grant ends, or earlier; None if none ever does. Costs little, however many were renewed."""
        heap = self._heap
        for _ in range(_LOOKS):
            if not heap:
                return None
            entry = heap[0]
            cell = self.get(entry[1:])
            if cell is None:
                heappop(heap)
                continue
            end = self.holding.ends(cell)
            if end <= entry[0]:
                return end
            heapreplace(heap, (end, *entry[1:]))
        return heap[0][0] if heap else None

    def reschedule(self) -> None:
        """Make the schedule anew: each grant once, at its present end."""
        ends = self.holding.ends
        self._heap = [(ends(cell), *cell.key) for cell in self if cell.grant.until < math.inf]
        heapify(self._heap)

    def _wake(self, cell: Cell) -> None:
        """See to it that there is an entry not later than its end; one that is too early costs one look."""
        if cell.grant.until < math.inf:
            heappush(self._heap, (cell.grant.until, *cell.key))

    def _add(self, key: Key) -> None:
        address, user, basis = key
        self.size += 1
        have = self.users.get(user)
        if have is None:
            self.users[user] = address
        elif isinstance(have, set):
            have.add(address)
        elif have != address:
            self.users[user] = {have, address}
        if basis == "standing":
            self.standing.add(key)

    def _replace_sessions(self, before: tuple[OpenSession, ...], after: tuple[OpenSession, ...]) -> None:
        more = len(before) + 1 - len(after)
        if more >= 0 and before[more:] == after[:-1]:  # a login: one has come, and perhaps the oldest is forgotten
            before, after = before[:more], after[-1:]
        for session in before:
            if session not in after and self.sessions.get(session.key) == session:
                del self.sessions[session.key]
        for session in after:
            self.sessions[session.key] = session
