"""A working copy over what is visible: it reads through, and writes to itself (see `flight` for what becomes of it)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Set
from enum import Enum, auto
from itertools import islice
from operator import attrgetter
from typing import Final

import msgspec
from msgspec.structs import replace

from poprelay.ledger.ahead import Early
from poprelay.ledger.book import Combination, Holding, clamped
from poprelay.ledger.crowds import Crowd
from poprelay.ledger.record import Cell, Key, OpenSession, Refusal
from poprelay.ledger.revocations import Revocations
from poprelay.ledger.state import RefusalKey, State
from poprelay.model import Address, Change, Closed, Grant, Instant, Revocation, SessionKey


class _Untouched(Enum):
    """Says that the overlay has nothing of its own for a key."""

    UNTOUCHED = auto()


UNTOUCHED: Final = _Untouched.UNTOUCHED


class Closing(msgspec.Struct, frozen=True):
    """A grant as it was when closed; as it was in sight, if it must be taken from there; and as it must be deleted."""

    cell: Cell
    change: Closed
    seen: Cell | None
    gone: Grant


class Overlay:
    """What one draft changes, and nothing of what it decides."""

    def __init__(self, state: State, now: Instant) -> None:
        self.state = state
        self.now = now
        self.holding = state.book.holding
        self.cells: dict[Key, Cell | None] = {}
        self.sessions: dict[SessionKey, OpenSession | None] = {}
        self.changes: list[Change] = []
        self.revocations = Revocations(state.key)
        self.revocations_gone: list[str] = []
        self.refusals: dict[RefusalKey, Refusal] = {}
        self.crowds: dict[Address, Crowd | None] = {}
        self.ahead: dict[bytes, Early | None] = {}
        self.set_back = False
        """Whether this one is about a clock that was set back."""
        self.wiping = False
        """Whether this one is an order that closes everything, grant by grant later on."""
        self.fresh: set[Key] = set()
        """The grants here that are not visible."""
        self.fresh_at: dict[Address, int] = {}
        self.fresh_of: dict[str, list[Address]] = {}
        """Where, and whose, are the login grants among them (some may have been closed again)."""
        self.proven: list[Combination] = []
        """What was shown here to join logouts to logins."""
        self.opening = False
        self.closed = False
        """Whether it is, or was, the flying one; whether what it closes has been taken from sight."""

        self.closings: list[Closing] = []
        self.taking: set[Key] = set()
        """Those that must be taken from sight."""
        self.cut: dict[Key, None] = {}
        """Those that are not renewed but shortened, which is shown at once."""
        self.rewriting: dict[Key, Cell | None] = {}
        """What its record puts right, of `State.rewrite`."""

        self.suspending: list[Cell] = []
        self.drops: set[Key] = set()
        self.replacements: dict[Key, Cell] = {}
        """What it does where the flying draft has something newer: out of sight until that is accepted, closed there,
        shortened there."""

        self.suspended: dict[Key, Cell] = {}
        """While flying: what ended in sight though it is renewed here."""
        self.dropped: dict[Key, int] = {}
        """While flying: what was closed here from outside, and how many changes there were then."""

        self.owed: list[Closing] = []
        """What a draft that was given up had closed: out of sight already, but not committed."""

    @property
    def flying(self) -> Overlay | None:
        """The draft that is being filled or committed elsewhere, if there is one."""
        other = self.state.flying
        return None if other is self else other

    @property
    def outlook(self) -> Holding:
        """What holds once the flying draft is accepted, the proofs in it included."""
        return self.holding if self.flying is None else self.flying.holding

    def is_full(self) -> bool:
        """Whether there will be as many grants as there may be, those not counted that are over unseen."""
        state = self.state
        book = state.book
        leaving = sum(book.get(key) is not None for key in self.taking)
        unseen = {cell.key for cell in book.due(self.now)} - self.cells.keys()
        surplus = book.size + len(self.fresh) - leaving - len(unseen) - state.terms.max_grants
        if surplus < 0 or state.wiped_at == -math.inf:
            return surplus >= 0
        ends = self.holding.ends
        wiped = (
            cell for cell in book if state.is_wiped(cell) and ends(cell) > self.now and cell.key not in self.taking
        )  # there may be a million; so many suffice
        return next(islice(wiped, surplus, None), None) is None

    def get(self, key: Key) -> Cell | None:
        """The cell of one grant as it is here."""
        cell = self.cells.get(key, UNTOUCHED)
        return self.state.book.get(key) if cell is UNTOUCHED else cell

    def present(self, key: Key) -> Cell | None:
        """The same as the clock lets it be, for who decides by it: it may have been set back a moment ago."""
        cell = self.get(key)
        return None if cell is None else clamped(cell, self.now)

    def live(self, cell: Cell) -> bool:
        """Whether it allows anything now."""
        return self.holding.live(cell, self.now) and not self.state.is_wiped(cell)

    def present_at(self, address: Address) -> list[Cell]:
        """The cells of one address as they are here, and as the clock lets them be."""
        cells = [cell for cell in self.state.book.at(address) if cell.key not in self.cells]
        cells += [cell for cell in self.cells.values() if cell is not None and cell.grant.address == address]
        return [clamped(cell, self.now) for cell in cells]

    def over(self, addresses: Set[Address] | None, user: str | None) -> list[Cell]:
        """All cells of these addresses, of a user, or both; of everybody if neither. They are as they are here or,
        where that is newer, as they will be when the flying draft is accepted."""
        book = self.state.book
        newer = self._newer()
        places: Iterable[Address] | None = book.of(user) if addresses is None and user is not None else addresses
        visible = book if places is None else (cell for place in places for cell in book.at(place))
        if user is None and not newer and not self.cells:
            return list(visible)
        found = [cell for cell in visible if (key := cell.key) not in newer and key not in self.cells]
        found += [cell for key, cell in self.cells.items() if cell is not None and key not in newer]
        found += newer.values()
        return [
            cell
            for cell in found
            if (addresses is None or cell.grant.address in addresses) and (user is None or cell.grant.user == user)
        ]

    def is_known(self, key: Key) -> bool:
        """Whether it is in sight, or was until it ended while the flying draft had a newer one."""
        flying = self.flying
        return self.state.book.get(key) is not None or (flying is not None and key in flying.suspended)

    def session(self, key: SessionKey) -> OpenSession | None:
        """The open session of this key."""
        session = self.sessions.get(key, UNTOUCHED)
        return self.state.book.sessions.get(key) if session is UNTOUCHED else session

    def put(self, key: Key, cell: Cell, *, new: bool) -> None:
        """Open or renew; `new` if there was none."""
        if new:
            self.count_fresh(key)
        if self.cut:
            self.cut.pop(key, None)
        self.cells[key] = cell

    def shorten(self, seen: Cell, shorter: Callable[[Cell], Cell]) -> None:
        """Replace a grant by one that ends no later, at once, both in sight and in the flying draft."""
        if self.flying is None and shorter(seen) is seen:
            return
        key = seen.key
        cell = self.get(key)
        if cell is not None and (short := shorter(cell)) is not cell:
            over = self.holding.ends(short) <= self.now
            if not (over and self.suspend(cell)):
                if key not in self.cells:
                    self.cut[key] = None
                self.cells[key] = short
        flying = self.flying
        if flying is not None and key not in self.drops:
            newer = self.replacements.get(key) or flying.cells.get(key)
            if newer is not None:
                short = shorter(newer)
                if short is not newer or key in self.cut:  # then, too, its row is written by a later record
                    self.replacements[key] = short

    def close_session(self, key: SessionKey) -> None:
        """It is over. Forgotten, if it was only here: none becomes visible while this is filled."""
        if self.sessions.pop(key, None) is None or key in self.state.book.sessions:
            self.sessions[key] = None

    def close_grant(self, cell: Cell, reason: str, at: Instant) -> None:
        """End a grant, and forget its sessions."""
        key = cell.key
        seen = None if key in self.taking else self.state.book.get(key)
        if seen is not None:
            self.taking.add(key)
            for session in seen.sessions:
                if self.session(session.key) == session:
                    self.close_session(session.key)
        change = Closed(at, cell.grant, reason)
        self.changes.append(change)
        self.closings.append(self.closing(cell, change, seen))
        self.cut.pop(key, None)
        flying = self.flying
        if flying is not None and flying.cells.get(key) is not None:
            self.drops.add(key)
            if key in flying.suspended:
                self.sessions.update((session.key, None) for session in flying.suspended[key].sessions)
        self.cells[key] = None
        self.fresh.discard(key)
        for session in cell.sessions:
            self.close_session(session.key)

    def closing(self, cell: Cell, change: Closed, seen: Cell | None = None) -> Closing:
        """One that an order closed goes whatever its row says, and so does one whose row is known to be longer."""
        gone = cell.grant
        if change.reason != "expired" or cell.key in self.state.rewrite:
            gone = replace(gone, until=math.inf)
        else:  # a draft that was given up may have had it shorter than its row
            flying = self.flying
            out_of_sight = None if flying is None else flying.suspended.get(cell.key)
            gone = max((one.grant for one in (cell, seen, out_of_sight) if one is not None), key=attrgetter("until"))
        return Closing(cell, change, seen, gone)

    def suspend(self, cell: Cell) -> bool:
        """Take out of sight without ending it, if the flying draft has a newer one; says whether that is so."""
        flying = self.flying
        if flying is None or flying.cells.get(cell.key) is None:
            return False
        self.suspending.append(cell)
        return True

    def prove(self, proof: Combination) -> None:
        """From now on sessions of this combination hold."""
        self.proven.append(proof)
        self.holding = Holding(self.holding.max_session, self.holding.joined | {proof})

    def revocations_over(self, address: Address, user: str) -> Iterator[Revocation]:
        """Those that concern this grant, the ones made here included."""
        yield from self.state.revocations.over(address, user)
        yield from self.revocations.over(address, user)

    def _newer(self) -> dict[Key, Cell]:
        """What the flying draft will show, after what is done to it from here."""
        flying = self.flying
        if flying is None:
            return {}
        newer = {key: cell for key, cell in flying.cells.items() if cell is not None}
        newer.update(self.replacements)
        for key in self.drops:
            newer.pop(key, None)
        return newer

    def count_fresh(self, key: Key) -> None:
        """This grant is here but not visible."""
        address, user, basis = key
        self.fresh.add(key)
        if basis == "login":
            self.fresh_at[address] = self.fresh_at.get(address, 0) + 1
            self.fresh_of.setdefault(user, []).append(address)
