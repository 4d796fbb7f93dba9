"""The ledger: who may relay now, and what that rests on. Pure: time is an argument, nothing is read or written.

    draft = ledger.draft(now)             a working copy; what is visible stays as it is
    draft.login(event, read_at)           what happened: any number of events and orders
    ledger.close(draft)                   takes from sight, at once, what the draft closes
    store.commit(draft.record(positions)) all or nothing
    ledger.accept(draft)                  shows what the draft opens; if the commit failed, ledger.give_up(draft)

Opening: commit, then publish. Closing: take away, then commit. So a draft that only closes (expire, revoke, wipe,
rejudge, clamp) is closed and accepted in one go, at any moment, and its record committed afterwards. Drafts that open
(login, logout, allow, stand) are made one after the other; one whose commit failed is given up: its events are drafted
again, and the next owes what it had closed.
Records are committed in the order in which they were asked for. Every call that returns addresses names those whose
answer may have changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Set
from itertools import chain, filterfalse
from operator import attrgetter

from poprelay.ledger import flight
from poprelay.ledger.book import plainly_live
from poprelay.ledger.crowds import Crowd
from poprelay.ledger.draft import Draft
from poprelay.ledger.judgement import Judgement
from poprelay.ledger.record import Cell, OpenSession, Snapshot
from poprelay.ledger.revocations import denies
from poprelay.ledger.rules import Rules
from poprelay.ledger.state import State
from poprelay.ledger.terms import Terms
from poprelay.model import Absent, Address, Allowed, Grant, GrantKey, Instant, Outcome, Revocation, Unavailable
from poprelay.spans import rfc3339

__all__ = ["Ledger", "Terms"]

_ABSENT = Absent()
_UNREAD = Unavailable("only an open session holds its grant, and that may be over: its log is not read up to now")


class Ledger:
    """One host's grants."""

    def __init__(self, terms: Terms, rules: Rules) -> None:
        self.unavailable: str | None = None
        """While set: why an address without a plainly live grant is answered 'cannot tell'. A grant that only an open
        session holds is not plainly live: its logout may stand in lines that are not yet read."""
        self.read_sources: frozenset[str] | None = None
        """The sources whose logs are read up to now; None: all. Only their open sessions hold a grant, for who asks:
        the logout of another may stand in what nobody has read."""
        self._state = State(terms, rules)
        self._unjudged = False
        self._judgement: Judgement | None = None
        """While grants are here that the config has not judged, or that were wiped and are not closed yet: what is said
        of each that somebody asks for."""
        self._book = self._state.book
        self._places = self._book.places

    @property
    def terms(self) -> Terms:
        return self._state.terms

    @property
    def rules(self) -> Rules:
        return self._state.rules

    def replace(self, terms: Terms, rules: Rules) -> None:
        """Take on another config; whoever asks is answered by it. Grants are still as the old one made them: draft
        `expire`, `clamp_rest` and, for all `addresses`, `rejudge` next, and say `judged`."""
        self._state.replace(terms, rules)
        self._judge(unjudged=True)

    def judged(self) -> None:
        """All grants have been judged by the present config."""
        self._judge(unjudged=False)
        self._state.ends_sooner = False

    @property
    def wiped_at(self) -> Instant:
        """When everything was closed that is not closed grant by grant yet; minus infinity if all is."""
        return self._state.wiped_at

    def swept(self, wiped_at: Instant) -> None:
        """All grants have been judged since everything was closed at that time."""
        if self._state.wiped_at <= wiped_at:
            self._state.wiped_at = -math.inf
            self._judge(unjudged=self._unjudged)

    def load(self, snapshot: Snapshot, now: Instant) -> None:
        """Start from what the store holds. Judge all next, as after `replace`, and say `swept`, too; do not answer
        before."""
        state = self._state
        self._judge(unjudged=True)
        state.book.holding.joined.update((row.source, row.agent, row.host, row.service) for row in snapshot.joined)
        state.book.load(snapshot.grants)
        for revocation in snapshot.revocations:
            state.revocations.add(revocation)
            if revocation.address is None and revocation.user is None:  # not all that it closes may have been closed
                before = math.nextafter(revocation.at, -math.inf)
                state.wiped_at = max(state.wiped_at, before)
        state.crowds.update((address, Crowd.from_bytes(packed)) for address, packed in snapshot.crowds.items())
        for login, early in sorted(snapshot.ahead.items(), key=lambda one: one[1].read):
            state.ahead.put(login, early)
        rows = sorted(snapshot.refusals, key=lambda row: row.first_at)
        state.remember({(row.address, row.user, row.reason): row for row in rows}, now)

    def key(self, address: Address) -> Address:
        """What grants of this address are found by: itself, or its IPv6 network where grants are wider."""
        return self._state.key(address)

    def find(self, address: Address, now: Instant) -> Outcome:
        """May this address relay now? All its live grants, or that there is none, or that we cannot tell."""
        place = self._places.get(address)
        if isinstance(place, Cell) and self._judgement is None:
            grant = place.grant
            if plainly_live(grant, now) or (place.sessions and self._held(place, now)):
                return Allowed((grant,))
        elif place is not None:
            cells = self._cells(address)
            live = tuple(cell.grant for cell in cells if plainly_live(cell.grant, now) or self._held(cell, now))
            if live:
                return Allowed(live)
        if ":" in address and (wide := self._state.key(address)) != address:
            return self.find(wide, now)
        if self.unavailable is not None:
            return Unavailable(self.unavailable)
        if place is not None and any(self._book.holding.live(cell, now) for cell in self._cells(address)):
            return _UNREAD
        return _ABSENT

    def outlook(self, grant: Grant) -> tuple[Instant, int]:
        """When this grant, perhaps as it was before, ends if nothing more happens, the sessions included that are open
        now (infinite: never), and how many of them there are."""
        cell = self._judged(self._book.get((grant.address, grant.user, grant.basis)))
        return (grant.until, 0) if cell is None else (self._ends(Cell(grant, cell.sessions)), len(cell.sessions))

    def ends(self, grant: Grant) -> Instant:
        """When it ends, as `outlook` says; this costs little where no session can hold anything."""
        return self.outlook(grant)[0] if self._book.holding.joined else grant.until

    def sessions(self, key: GrantKey) -> tuple[OpenSession, ...]:
        """The open sessions that are known of this grant, oldest first; whether they hold it, `outlook` says."""
        cell = self._book.get((key.address, key.user, key.basis))
        return () if cell is None else cell.sessions

    def grants(self, now: Instant) -> Iterator[Grant]:
        """Every live grant; take them all before anything else happens."""
        return (cell.grant for cell in filter(None, map(self._judged, self._book)) if self._live(cell, now))

    def addresses(self) -> Iterator[Address]:
        """Every address that has a grant now, live or not, or is about to have one, each once: for who goes through
        them all and lets others do their work in between. One that comes meanwhile may be missing."""
        flying = self._state.flying
        first = {} if flying is None else dict.fromkeys(address for address, _, _ in flying.cells)
        return chain(first, filterfalse(first.__contains__, self._places))

    def at(self, address: Address, now: Instant) -> list[Grant]:
        """The live grants of one address, as the ledger keeps it."""
        return [cell.grant for cell in self._cells(address) if self._live(cell, now)]

    def allows(self, address: Address, now: Instant) -> bool:
        """Whether this address is allowed: there is an `entry`."""
        place = self._places.get(address)
        if isinstance(place, Cell) and self._judgement is None:
            return plainly_live(place.grant, now) or self._live(place, now)  # for most it saves a call
        return any(self._live(cell, now) for cell in self._cells(address))

    def entry(self, address: Address, now: Instant) -> tuple[tuple[str, ...], Instant, Instant] | None:
        """What a map may say of an address: users, last login, end (infinite: never). None if it is not allowed."""
        place = self._places.get(address)
        if isinstance(place, Cell) and self._judgement is None:
            grant = place.grant
            return ((grant.user,), grant.last_login, self._ends(place)) if self._live(place, now) else None
        cells = [cell for cell in self._cells(address) if self._live(cell, now)]
        if not cells:
            return None
        return (
            tuple(sorted({cell.grant.user for cell in cells})),
            max(cell.grant.last_login for cell in cells),
            max(map(self._ends, cells)),
        )

    def session_sources(self) -> frozenset[str]:
        """The sources that have shown logouts joined to their logins: only their sessions hold anything."""
        return frozenset(source for source, _, _, _ in self._book.holding.joined)

    def with_sessions(self, sources: Set[str]) -> Iterator[Address]:
        """The addresses whose answer may depend on whether these are among `read_sources`, for who goes through them
        as through `addresses`."""
        return self._book.with_sessions(sources)

    def __len__(self) -> int:
        """How many grants there are, those included that have ended but were not yet expired."""
        return self._book.size

    @property
    def address_count(self) -> int:
        """At how many addresses."""
        return len(self._places)

    def next_end(self) -> Instant | None:
        """When to draft an `expire`: the instant at which the next grant ends, or earlier. None if none will end."""
        return self._book.schedule.next_end()

    def revocations(self) -> list[Revocation]:
        """All that are kept."""
        return list(self._state.revocations)

    def crowded(self, now: Instant) -> list[Address]:
        """The addresses that get no login grants because too many users log in from there."""
        most = self.terms.max_users_per_address
        return [address for address, crowd in self._state.crowds.items() if crowd.count(now) > most]

    def denied(self, now: Instant) -> list[Revocation]:
        """The orders that refuse new logins now, oldest first."""
        return sorted((one for one in self._state.revocations if denies(one, now)), key=attrgetter("at"))

    def denials(self, address: Address, now: Instant) -> list[str]:
        """What besides the rules stands against logins from this address, as sentences."""
        address = self.key(address)
        sentences = [
            f"{'it' if one.user is None else one.user} is denied until {rfc3339(one.deny_until)}, by {one.by}"
            + (f" ({one.reason})" if one.reason else "")
            for one in self.denied(now)
            if one.address is None or self.key(one.address) == address
        ]
        if address in self.crowded(now):
            most = self.terms.max_users_per_address
            sentences.append(f"more than {most} users (max_users_per_address) log in from there: it is no client")
        return sentences

    def draft(self, now: Instant) -> Draft:
        """Begin to decide, as of now."""
        return Draft(self._state, now)

    def close(self, draft: Draft) -> set[Address]:
        """Take from sight what the draft closes or shortens, and let its revocations refuse, before any commit."""
        touched = flight.close(draft.overlay)
        if draft.overlay.wiping:
            self._judge(unjudged=self._unjudged)
        return touched

    def accept(self, draft: Draft) -> set[Address]:
        """Show what the draft opens; what was revoked in the meantime stays away, and leaves its `changes`."""
        return flight.accept(draft.overlay)

    def give_up(self, draft: Draft) -> None:
        """The commit failed: what the draft opens is not to come. What it closed is owed by the next that opens."""
        flight.give_up(draft.overlay)

    def _judge(self, *, unjudged: bool) -> None:
        self._unjudged = unjudged
        needed = unjudged or self._state.wiped_at > -math.inf
        self._judgement = Judgement(self._state) if needed else None

    def _judged(self, cell: Cell | None) -> Cell | None:
        """As the config lets it stand; None if it does not."""
        return cell if cell is None or self._judgement is None else self._judgement.of(cell)

    def _cells(self, address: Address) -> tuple[Cell, ...]:
        """Those of one address, as the config lets them stand."""
        return tuple(filter(None, map(self._judged, self._book.at(address))))

    def _live(self, cell: Cell, now: Instant) -> bool:
        return self._book.holding.live(cell, now, self.read_sources)

    def _held(self, cell: Cell, now: Instant) -> bool:
        return self.unavailable is None and self._live(cell, now)

    def _ends(self, cell: Cell) -> Instant:
        return self._book.holding.ends(cell, self.read_sources)
