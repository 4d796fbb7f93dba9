"""A working copy over what is visible: it reads through, and writes to itself.

Life of one: it is filled; `close` takes from sight what it ends or shortens; `record` says what must be committed;
`accept` shows what it opens. One that opens is *flying* from its first event until it is accepted. There is at most
one: when the next begins, the former is taken as given up (its commit failed), and what it had closed is owed by the
new one. Others, which only close, run to their end at any moment between; they reach into the flying one too. So:

- what is revoked while its opening is being committed never becomes visible, and its row is deleted after it was put;
- what expires while its renewal is being committed goes out of sight, and comes back when that is accepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from poprelay.ledger.book import Cell, Combination, Holding, Key
from poprelay.ledger.crowds import Crowd
from poprelay.ledger.record import Joined, OpenSession, Record, Refusal
from poprelay.ledger.revocations import Revocations
from poprelay.ledger.state import RefusalKey, State
from poprelay.model import Address, Change, Closed, Grant, Instant, Opened, Renewed, Revocation, SessionKey


class _Untouched:
    """Says that the overlay has nothing of its own for a key."""


UNTOUCHED: Final = _Untouched()


class Closing(msgspec.Struct, frozen=True):
    """A grant as it was when closed, and as it was in sight, if it must be taken from there."""

    cell: Cell
    change: Closed
    seen: Cell | None = None


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
        self.set_back = False
        """Whether this one is about a clock that was set back."""
        self.fresh: set[Key] = set()
        """The grants here that are not visible."""
        self.fresh_at: dict[Address, int] = {}
        self.fresh_of: dict[str, list[Address]] = {}
        """Where, and whose, are the login grants among them (some may have been closed again)."""
        self._proven: list[Combination] = []
        self._closings: list[Closing] = []
        self._taking: set[Key] = set()
        self._cut: dict[Key, None] = {}
        """Those that are not renewed but shortened, which is shown at once."""
        self._suspending: list[Cell] = []
        self._drops: set[Key] = set()
        self._replacements: dict[Key, Cell] = {}
        self._opening = False
        self._closed = False
        self._rewriting: dict[Key, Cell | None] = {}
        self._owed: list[Closing] = []
        """What a draft that was given up had closed: out of sight already, but not committed."""
        self._unsure: set[SessionKey] = set()
        """Sessions that it had touched: their rows may have been deleted though they are open."""
        self._suspended: dict[Key, Cell] = {}
        """What ended in sight while its renewal here is being committed."""
        self._stored: set[SessionKey] = set()
        """Their sessions."""
        self._dropped: dict[Key, int] = {}
        """What was closed here from outside, and how many changes there were then."""

    @property
    def flying(self) -> Overlay | None:
        """The draft that is being filled or committed elsewhere, if there is one."""
        other = self.state.flying
        return None if other is self else other

    @property
    def outlook(self) -> Holding:
        """What holds once the flying draft is accepted, the proofs in it included."""
        return self.holding if self.flying is None else self.flying.holding

    def begin(self) -> None:
        """This one opens. If another was flying, it is given up, and what it closed must be committed here."""
        other = self.flying
        self._opening = True
        self.state.flying = self
        if other is None:
            return
        owed = other._owed + (other._closings if other._closed else [])
        for ended in other._suspended.values():
            change = Closed(min(other.holding.ends(ended), self.now), ended.grant, "expired")
            owed.append(Closing(ended, change))
        self._owed = owed + self._owed
        self._unsure = other._unsure | other.sessions.keys()
        self.changes[:0] = [closing.change for closing in owed]
        if other._closed:
            for revocation in other.revocations:
                self.revocations.add(revocation)
            self.revocations_gone += other.revocations_gone
            self.crowds.update(other.crowds)

    def count(self) -> int:
        """How many grants there will be, those not counted that ended unseen."""
        book = self.state.book
        leaving = sum(book.get(key) is not None for key in self._taking)
        unseen = {cell.key for cell in book.due(self.now)} - self.cells.keys()
        return book.size + len(self.fresh) - leaving - len(unseen)

    def get(self, key: Key) -> Cell | None:
        """The cell of one grant as it is here."""
        cell = self.cells.get(key, UNTOUCHED)
        return self.state.book.get(key) if isinstance(cell, _Untouched) else cell

    def at(self, address: Address) -> list[Cell]:
        """The cells of one address as they are here."""
        visible = [cell for cell in self.state.book.at(address) if cell.key not in self.cells]
        return visible + [cell for cell in self.cells.values() if cell is not None and cell.grant.address == address]

    def over(self, address: Address | None, user: str | None) -> list[Cell]:
        """All cells of an address, a user, or both; of everybody if neither. They are as they are here or, where that
        is newer, as they will be when the flying draft is accepted."""
        book = self.state.book
        newer = self._newer()
        if address is not None:
            visible: Iterable[Cell] = book.at(address)
        elif user is not None:
            visible = (cell for place in book.of(user) for cell in book.at(place))
        else:
            visible = book
        found = [cell for cell in visible if (key := cell.key) not in newer and key not in self.cells]
        found += [cell for key, cell in self.cells.items() if cell is not None and key not in newer]
        found += newer.values()
        return [
            cell
            for cell in found
            if (address is None or cell.grant.address == address) and (user is None or cell.grant.user == user)
        ]

    def session(self, key: SessionKey) -> OpenSession | None:
        """The open session of this key."""
        session = self.sessions.get(key, UNTOUCHED)
        return self.state.book.sessions.get(key) if isinstance(session, _Untouched) else session

    def put(self, key: Key, cell: Cell, *, new: bool) -> None:
        """Open or renew; `new` if there was none."""
        if new:
            self._count(key)
        if self._cut:
            self._cut.pop(key, None)
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
                    self._cut[key] = None
                self.cells[key] = short
        flying = self.flying
        if flying is not None and key not in self._drops:
            newer = self._replacements.get(key) or flying.cells.get(key)
            if newer is not None and (short := shorter(newer)) is not newer:
                self._replacements[key] = short

    def open_session(self, session: OpenSession) -> None:
        self.sessions[session.key] = session

    def close_session(self, key: SessionKey) -> None:
        """Forget it; one that was never committed leaves no trace."""
        if key in self.state.book.sessions or key in self._stored or self.sessions.get(key) is None:
            self.sessions[key] = None
        else:
            del self.sessions[key]

    def close_grant(self, cell: Cell, reason: str, at: Instant) -> None:
        """End a grant, and forget its sessions."""
        key = cell.key
        seen = None if key in self._taking else self.state.book.get(key)
        if seen is not None:
            self._taking.add(key)
            for session in seen.sessions:
                if self.session(session.key) is session:
                    self.close_session(session.key)
        change = Closed(at, cell.grant, reason)
        self.changes.append(change)
        self._closings.append(Closing(cell, change, seen))
        self._cut.pop(key, None)
        flying = self.flying
        if flying is not None and flying.cells.get(key) is not None:
            self._drops.add(key)
            if key in flying._suspended:
                self.sessions.update((session.key, None) for session in flying._suspended[key].sessions)
        self.cells[key] = None
        self.fresh.discard(key)
        for session in cell.sessions:
            self.close_session(session.key)

    def suspend(self, cell: Cell) -> bool:
        """Take out of sight without ending it, if the flying draft has a newer one; says whether that is so."""
        flying = self.flying
        if flying is None or flying.cells.get(cell.key) is None:
            return False
        self._suspending.append(cell)
        return True

    def prove(self, proof: Combination) -> None:
        """From now on sessions of this combination hold."""
        self._proven.append(proof)
        self.holding = Holding(self.holding.max_session, self.holding.joined | {proof})

    def close(self) -> set[Address]:
        """Take from sight at once what this draft ends or shortens; returns the addresses concerned."""
        state = self.state
        book = state.book
        self._closed = True
        touched: set[Address] = set()
        late: set[int] = set()
        for closing in self._closings:
            if closing.seen is None:
                continue
            key = closing.cell.key
            touched.add(key[0])
            if book.remove(key) is None and self._suspended.pop(key, None) is None:
                late.add(id(closing.change))
        if late:  # somebody else closed them while this one was being filled, and said so
            self._closings = [closing for closing in self._closings if id(closing.change) not in late]
            self.changes[:] = [change for change in self.changes if id(change) not in late]
        for key in tuple(self._cut):
            cell = self.cells[key]
            if cell is not None and book.get(key) is not None:
                book.put(cell)
                touched.add(key[0])
                if self._opening:
                    state.rewrite[key] = cell
            elif self._suspended.pop(key, None) is not None:
                del self._cut[key]
            else:
                del self._cut[key], self.cells[key]
        self._reach_into_flying(touched)
        for revocation in self.revocations:
            state.revocations.add(revocation)
        for name in self.revocations_gone:
            state.revocations.remove(name)
        return touched

    def accept(self) -> set[Address]:
        """Show what this draft opens and renews; returns the addresses concerned."""
        state = self.state
        book = state.book
        assert self._closed, "close it and commit its record first"
        if self._opening:
            assert state.flying is self, "another draft that opens has begun since"
            state.flying = None
        for key, short in self._rewriting.items():
            if state.rewrite.get(key) is short:
                state.rewrite.pop(key, None)
        book.holding.joined.update(self._proven)
        touched: set[Address] = set()
        for key, cell in self.cells.items():
            if cell is not None and key not in self._cut:
                book.put(cell)
                touched.add(key[0])
        state.remember(self.refusals, self.now)
        for address, crowd in self.crowds.items():
            if crowd is None:
                state.crowds.pop(address, None)
            else:
                state.crowds[address] = crowd
        if self._dropped:
            self.changes[:] = [change for number, change in enumerate(self.changes) if not self._undone(number, change)]
        return touched

    def record(self, positions: dict[str, bytes]) -> Record:
        """All that must be committed, with the positions that it takes sources to."""
        closings = self._owed + self._closings
        cells = [cell for closing in self._owed for cell in (closing.cell, closing.seen) if cell is not None]
        owed = [session.key for cell in cells for session in cell.sessions]
        rows = [cell.grant for key, cell in self.cells.items() if cell is not None and key not in self._replacements]
        return Record(
            gone=[self._gone(closing) for closing in closings],
            grants=rows + self._rewritten(),
            sessions_closed=owed + [key for key, session in self.sessions.items() if session is None],
            sessions_opened=self._unsure_sessions()
            + [session for session in self.sessions.values() if session is not None],
            joined=[Joined(*proof) for proof in self._proven],
            revocations=list(self.revocations),
            revocations_gone=list(self.revocations_gone),
            history=[change for change in self.changes if isinstance(change, Opened | Closed)],
            refusals=list(self.refusals.values()),
            crowds={address: b"" if crowd is None else crowd.to_bytes() for address, crowd in self.crowds.items()},
            positions=positions,
        )

    def revocations_over(self, address: Address, user: str) -> Iterator[Revocation]:
        """Those that concern this grant, the ones made here included."""
        if self.state.revocations:
            yield from self.state.revocations.over(address, user)
        if self.revocations:
            yield from self.revocations.over(address, user)

    def _newer(self) -> dict[Key, Cell]:
        """What the flying draft will show, after what is done to it from here."""
        flying = self.flying
        if flying is None:
            return {}
        newer = {key: cell for key, cell in flying.cells.items() if cell is not None}
        newer.update(self._replacements)
        for key in self._drops:
            newer.pop(key, None)
        return newer

    def _reach_into_flying(self, touched: set[Address]) -> None:
        flying = self.flying
        for cell in self._suspending:
            key = cell.key
            if self.state.book.remove(key) is not None:
                touched.add(key[0])
            if flying is not None and (newer := flying.cells.get(key)) is not None:
                flying._keep(cell, newer)
        if flying is None:
            return
        for key, cell in self._replacements.items():
            flying.cells[key] = cell
            self.state.rewrite[key] = cell
        if self.set_back:
            flying.now = min(flying.now, self.now)
            for crowd in filter(None, flying.crowds.values()):
                crowd.clamp(self.now + self.state.terms.period)
        for key in self._drops:
            flying._drop(key)

    def _gone(self, closing: Closing) -> Grant:
        """The grant as it must be deleted: one that an order closed goes whatever its row says."""
        grant = closing.cell.grant
        if closing.change.reason == "expired" and closing.cell.key not in self.state.rewrite:
            return grant
        return replace(grant, until=math.inf)

    def _unsure_sessions(self) -> list[OpenSession]:
        sessions = [self.state.book.sessions.get(key) for key in self._unsure if key not in self.sessions]
        return [session for session in sessions if session is not None]

    def _rewritten(self) -> list[Grant]:
        """Rows that differ from what is visible, and can be put right now: no commit of theirs is awaited."""
        flying = self.flying
        newer = flying.cells if flying is not None else {}
        self._rewriting = {key: cell for key, cell in self.state.rewrite.items() if newer.get(key) is None}
        cells = [self.state.book.get(key) for key in self._rewriting if key not in self.cells]
        return [cell.grant for cell in cells if cell is not None]

    def _keep(self, ended: Cell, newer: Cell) -> None:
        """What this draft renewed is out of sight now, so the draft must know by itself what it rests on."""
        self._suspended[ended.key] = ended
        self._stored.update(session.key for session in ended.sessions)
        for session in newer.sessions:
            self.sessions.setdefault(session.key, session)
        self._count(ended.key)

    def _count(self, key: Key) -> None:
        """This grant is here but not visible."""
        address, user, basis = key
        self.fresh.add(key)
        if basis == "login":
            self.fresh_at[address] = self.fresh_at.get(address, 0) + 1
            self.fresh_of.setdefault(user, []).append(address)

    def _drop(self, key: Key) -> None:
        cell = self.cells.pop(key, None)
        if cell is not None:
            self._dropped[key] = len(self.changes)
            self.fresh.discard(key)
            self._suspended.pop(key, None)
            for session in cell.sessions:
                self.sessions[session.key] = None

    def _undone(self, number: int, change: Change) -> bool:
        """Whether the grant that this change opened or renewed was closed from outside since."""
        if not isinstance(change, Opened | Renewed):
            return False
        grant = change.grant
        return number < self._dropped.get((grant.address, grant.user, grant.basis), 0)
