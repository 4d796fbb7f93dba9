"""A ledger as a daemon drives it, with a clock to turn and, in place of a store, the rows that it would hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Any

from msgspec.structs import replace

from poprelay.ledger.ahead import Early
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Ledger, Terms
from poprelay.ledger.reasons import CLOSED, REFUSED
from poprelay.ledger.record import Cell, Joined, OpenSession, Record, Refusal, Snapshot
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import (
    Absent,
    Address,
    Allowed,
    Change,
    Closed,
    Event,
    Grant,
    GrantKey,
    Instant,
    Login,
    Logout,
    Opened,
    Origin,
    Refused,
    Revocation,
    SessionKey,
)

START = 1_700_000_000.0
MINUTE = 60.0
HOUR = 3600.0
PERIOD = 30 * MINUTE
HOME = Address("9.9.9.9")
OFFICE = Address("8.8.4.4")
EVERYTHING_GLOBAL = Rules(RuleTerms())


class Rows:
    """What the store holds after some records."""

    def __init__(self) -> None:
        self.cells: dict[GrantKey, Cell] = {}
        self.joined: set[Joined] = set()
        self.revocations: dict[str, Revocation] = {}
        self.refusals: dict[tuple[str, str, str, Instant], Refusal] = {}
        self.crowds: dict[Address, bytes] = {}
        self.ahead: dict[bytes, Early | None] = {}
        self.positions: dict[str, bytes] = {}
        self.history: list[Opened | Closed] = []

    def write(self, record: Record) -> None:
        for grant in record.gone:
            row = self.cells.get(grant.key)
            if row is not None and row.grant.until <= grant.until:
                del self.cells[grant.key]
        self.cells.update((cell.grant.key, cell) for cell in record.grants)
        self.joined.update(record.joined)
        self.revocations.update((revocation.id, revocation) for revocation in record.revocations)
        for name in record.revocations_gone:
            self.revocations.pop(name, None)
        self.history += record.history
        self.refusals.update(((row.address, row.user, row.reason, row.first_at), row) for row in record.refusals)
        self.crowds.update(record.crowds)
        for address in [address for address, packed in self.crowds.items() if not packed]:
            del self.crowds[address]
        self.ahead.update(record.ahead)
        self.positions.update(record.positions)

    @property
    def grants(self) -> dict[GrantKey, Grant]:
        return {key: cell.grant for key, cell in self.cells.items()}

    @property
    def sessions(self) -> dict[SessionKey, OpenSession]:
        return {session.key: session for cell in self.cells.values() for session in cell.sessions}

    def snapshot(self) -> Snapshot:
        return Snapshot(
            grants=list(self.cells.values()),
            joined=list(self.joined),
            revocations=list(self.revocations.values()),
            refusals=list(self.refusals.values()),
            crowds=dict(self.crowds),
            ahead={login: early for login, early in self.ahead.items() if early is not None},
            positions=dict(self.positions),
        )


class Desk:
    """One ledger, one clock, one store. Without other rules, every global address is good."""

    def __init__(
        self, rules: Rules = EVERYTHING_GLOBAL, terms: Terms | None = None, *, period: float = PERIOD, **limits: Any
    ) -> None:
        self.now: Instant = START
        self.rows = Rows()
        self.ledger = Ledger(terms or Terms(period=period, **limits), rules)
        self.stale = 0
        self.touched: set[Address] = set()
        self._ids = count(1)

    def do(self, order: Callable[[Draft], None]) -> list[Change]:
        """Draft, take away, commit, show."""
        draft = self.ledger.draft(self.now)
        order(draft)
        self.touched = self.ledger.close(draft)
        self.rows.write(draft.record({}))
        self.touched |= self.ledger.accept(draft)
        self.stale += draft.stale
        for change in draft.changes:
            if isinstance(change, Refused | Closed):
                assert change.reason.partition(":")[0] in (REFUSED if isinstance(change, Refused) else CLOSED)
        return draft.changes

    def take(self, *events: Event, read_at: Instant | None = None) -> list[Change]:
        """One batch, just read unless `read_at` says otherwise."""
        return self.do(lambda draft: fill(draft, events, self.now if read_at is None else read_at))

    def login(
        self,
        user: str = "ann",
        address: Address = HOME,
        *,
        at: Instant | None = None,
        read_at: Instant | None = None,
        session: str | None = None,
        tls: bool | None = True,
    ) -> list[Change]:
        event = login(user, address, at=self.now if at is None else at, session=session, tls=tls)
        return self.take(event, read_at=read_at)

    def logout(self, session: str, *, at: Instant | None = None, read_at: Instant | None = None) -> list[Change]:
        return self.take(logout(session, at=self.now if at is None else at), read_at=read_at)

    def revoke(
        self,
        address: Address | None = None,
        user: str | None = None,
        *,
        at: Instant | None = None,
        deny: float | None = None,
    ) -> list[Change]:
        revocation = self.revocation(address, user, at=at, deny=deny)
        return self.do(lambda draft: draft.revoke(revocation))

    def revocation(
        self,
        address: Address | None = None,
        user: str | None = None,
        *,
        at: Instant | None = None,
        deny: float | None = None,
    ) -> Revocation:
        return Revocation(
            id=f"r{next(self._ids)}",
            at=self.now if at is None else at,
            by="root",
            address=address,
            user=user,
            reason="",
            deny_until=None if deny is None else self.now + deny,
        )

    def allow(
        self, address: Address = HOME, user: str = "", *, span: float | None = None, force: bool = False
    ) -> list[Change]:
        return self.do(lambda draft: draft.allow(address, user, span=span, by="root", reason="why", force=force))

    def stand(self, *wanted: tuple[Address, str, str]) -> list[Change]:
        """As after a reload with these (address, user, reason) in the config."""
        standing = {(self.ledger.key(address), user): reason for address, user, reason in wanted}
        terms = replace(self.ledger.terms, standing=standing)
        return [*self.reload(terms=terms), *self.do(Draft.stand)]

    def expire(self) -> list[Change]:
        return self.do(lambda draft: draft.expire())

    def restart(self, rules: Rules | None = None, terms: Terms | None = None) -> list[Change]:
        """As after a crash: what was not committed is lost."""
        self.ledger = Ledger(terms or self.ledger.terms, rules or self.ledger.rules)
        self.ledger.load(self.rows.snapshot(), self.now)
        return self.judge()

    def reload(
        self, rules: Rules | None = None, terms: Terms | None = None, *, in_pieces: bool = False
    ) -> list[Change]:
        self.ledger.replace(terms or self.ledger.terms, rules or self.ledger.rules)
        return self.judge(in_pieces=in_pieces)

    def judge(self, *, in_pieces: bool = False) -> list[Change]:
        """Judge every grant again. Whoever asks before that is done is told of no grant that will not stand."""
        before = self.answers()
        changes = [*self.expire(), *self.do(lambda draft: draft.clamp_rest())]
        for piece in self.pieces(in_pieces=in_pieces):
            changes += self.do(partial(Draft.rejudge, addresses=piece))
            assert self.answers() >= before
        self.ledger.judged()
        self.ledger.swept(self.ledger.wiped_at)
        assert self.answers() >= before
        return changes

    def clamp(self) -> list[Change]:
        """The clock was set back."""
        changes = self.do(lambda draft: draft.clamp_rest())
        for piece in self.pieces():
            changes += self.do(partial(Draft.clamp, addresses=piece))
        return changes

    def pieces(self, *, in_pieces: bool = False) -> list[set[Address]]:
        """All addresses in one, or each by itself."""
        addresses = self.ledger.addresses()
        return [{address} for address in addresses] if in_pieces else [set(addresses)]

    def answers(self) -> set[tuple[str, GrantKey]]:
        """Every grant that services, and maps, would be told of."""
        found: set[tuple[str, GrantKey]] = set()
        for address in self.ledger.addresses():
            outcome = self.ledger.find(address, self.now)
            found.update(("service", grant.key) for grant in getattr(outcome, "grants", ()))
            found.update(("map", grant.key) for grant in self.ledger.at(address, self.now))
        return found

    def users(self, address: Address = HOME) -> set[str]:
        """Whose live grants the address has now."""
        match self.ledger.find(address, self.now):
            case Allowed(grants):
                return {grant.user for grant in grants}
            case Absent():
                return set()
            case outcome:
                raise AssertionError(outcome)

    def allowed(self, address: Address = HOME) -> bool:
        return bool(self.users(address))

    def grant(self, user: str = "ann", address: Address = HOME) -> Grant:
        """The one live grant of this user there."""
        (found,) = (grant for grant in self.ledger.grants(self.now) if (grant.user, grant.address) == (user, address))
        return found

    def ends(self, user: str = "ann", address: Address = HOME) -> float:
        """In how many seconds that grant ends."""
        return self.ledger.outlook(self.grant(user, address))[0] - self.now

    def prove(self) -> None:
        """Let the source show one logout that is joined to its login."""
        self.login("proof", OFFICE, session="proof")
        self.logout("proof")
        self.revoke(OFFICE, "proof", at=self.now - HOUR)


def fill(draft: Draft, events: Iterable[Event], read_at: Instant) -> None:
    for event in events:
        draft.take(event, read_at)


def login(
    user: str = "ann",
    address: Address = HOME,
    *,
    at: Instant,
    session: str | None = None,
    tls: bool | None = True,
    service: str = "imap",
    host: str = "mx",
    source: str = "mail.log",
    agent: str = "dovecot",
) -> Login:
    return Login(at, user, address, service, tls, session, agent, Origin(source, host))


def logout(
    session: str | None,
    *,
    at: Instant,
    user: str | None = None,
    address: Address | None = None,
    service: str = "imap",
    host: str = "mx",
    source: str = "mail.log",
    agent: str = "dovecot",
) -> Logout:
    return Logout(at, user, address, service, session, agent, Origin(source, host))


def said(changes: Iterable[Change]) -> list[str]:
    """What happened, in short: 'opened ann', 'closed ann expired', 'refused eve denied'."""
    words = []
    for change in changes:
        if isinstance(change, Refused):
            words.append(f"refused {change.user} {change.reason}")
        elif isinstance(change, Closed):
            words.append(f"closed {change.grant.user} {change.reason}")
        else:
            words.append(f"{type(change).__name__.lower()} {change.grant.user}")
    return words


class Flight:
    """One draft that opens: filled, handed to the store, and perhaps accepted, or given up."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.draft: Draft = desk.ledger.draft(desk.now)
        self.record = Record()

    def fill(self, *events: Event) -> Flight:
        fill(self.draft, events, self.desk.now)
        return self

    def submit(self) -> set[Address]:
        """Its record is on its way: all that is committed from here on comes after it."""
        touched = self.desk.ledger.close(self.draft)
        self.record = self.draft.record({"mail.log": b"1"})
        return touched

    def commit(self) -> Flight:
        self.submit()
        self.desk.rows.write(self.record)
        return self

    def land(self) -> list[str]:
        """The store has said yes."""
        self.desk.touched = self.desk.ledger.accept(self.draft)
        return said(self.draft.changes)

    def fail(self) -> None:
        """The store has said no."""
        self.submit()
        self.desk.ledger.give_up(self.draft)


def in_step(desk: Desk) -> bool:
    """Whether the rows are what the ledger says, grant by grant, with their sessions."""
    return dict(desk.rows.cells) == {cell.grant.key: cell for cell in desk.ledger._book}
