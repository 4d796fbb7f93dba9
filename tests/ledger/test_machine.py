"""The ledger against a model that has no index, no schedule and no overlay: it copies everything, and looks at all."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.desk import Desk, fill, login, logout
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Terms
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.ledger.terms import SLACK
from poprelay.model import Address, Allowed, Event, Grant, Login, Revocation

ADDRESSES = (Address("9.9.9.9"), Address("8.8.4.4"))
MAX_SESSION = 4000
LIMITS: dict[str, Any] = {"max_addresses_per_user": 1, "max_users_per_address": 2, "max_grants": 4}


@dataclass
class Held:
    """A grant as the model sees it; `sessions` are (service, session)."""

    until: float
    seen: float
    span: float
    opened: float
    sessions: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class Model:
    """Who may relay, by the words of the design."""

    period: float
    max_session: float = MAX_SESSION
    denied: frozenset[str] = frozenset()
    grants: dict[tuple[Address, str, str], Held] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    crowds: dict[Address, dict[str, float]] = field(default_factory=dict)
    closed: set[tuple[Address, str, str]] = field(default_factory=set)
    opened: set[tuple[Address, str, str]] = field(default_factory=set)
    """What nobody has seen yet: if that ends, it ends unseen, once it is committed."""

    def ends(self, held: Held) -> float:
        holds = any(service in self.joined for service, _ in held.sessions)
        return max(held.until, held.seen + self.max_session) if holds else held.until

    def live(self, held: Held, now: float) -> bool:
        holds = any(service in self.joined for service, _ in held.sessions)
        return 0 < held.until - now <= held.span + SLACK or (holds and -SLACK <= now - held.seen < self.max_session)

    def close(self, key: tuple[Address, str, str]) -> None:
        del self.grants[key]
        self.closed.add(key)

    def expire(self, now: float) -> set[tuple[Address, str, str]]:
        dead = {key for key, held in self.grants.items() if self.ends(held) <= now}
        for key in dead:
            self.close(key)
        return dead

    def login(self, event: Login, now: float, orders: list[Revocation]) -> None:
        at = min(event.at, now)
        until = at + self.period
        key = (event.address, event.user, "login")
        over = [order for order in orders if covers(order, event.address, event.user)]
        if until <= now or event.user in self.denied:
            return
        if any(now < (order.deny_until or 0) or int(at) <= int(order.at) for order in over):
            return
        if key in self.grants and not self.live(self.grants[key], now):
            self.close(key)
        if self.capped(key, until, now):
            return
        if key not in self.grants:
            self.grants[key] = Held(until, at, self.period, at)
            self.opened.add(key)
        held = self.grants[key]
        if until > held.until:
            held.until, held.span = until, self.period
        held.seen = max(held.seen, at)
        if event.session is not None:
            for name, other in list(self.grants.items()):
                if (event.service, event.session) in other.sessions:
                    other.sessions.discard((event.service, event.session))
                    if not self.live(other, now):
                        self.close(name)
            held.sessions.add((event.service, event.session))

    def capped(self, key: tuple[Address, str, str], until: float, now: float) -> bool:
        address, user, _ = key
        live = {name for name, held in self.grants.items() if self.live(held, now) and name[2] == "login"}
        new = key not in self.grants
        if new and sum(name[1] == user for name in live) >= LIMITS["max_addresses_per_user"]:
            return True
        users = {name[1] for name in live if name[0] == address}
        crowd = self.crowds.get(address)
        if crowd is None and new and len(users | {user}) > LIMITS["max_users_per_address"]:
            crowd = self.crowds[address] = {}
            for name in users:
                end = self.grants[address, name, "login"].until
                crowd[name] = end if 0 < end - now <= self.period + SLACK else now + self.period
        if crowd is not None:
            crowd[user] = max(until, crowd.get(user, until))
            for gone in [name for name, end in crowd.items() if end <= now]:
                del crowd[gone]
            if sum(end > now for end in crowd.values()) > LIMITS["max_users_per_address"]:
                for crowded in [other for other in self.grants if other[0] == address and other[2] == "login"]:
                    self.close(crowded)
                return True
        return new and sum(self.ends(held) > now for held in self.grants.values()) >= LIMITS["max_grants"]

    def logout(self, event: Event, now: float) -> None:
        name = (event.service, event.session or "")
        if not any(name in held.sessions for held in self.grants.values()):
            return
        if event.service not in self.joined:
            self.expire(now)
            self.joined.add(event.service)
        for key, held in list(self.grants.items()):
            if name in held.sessions and self.live(held, now):
                held.sessions.discard(name)
                at = min(event.at, now)
                held.seen = max(held.seen, at)
                if at + self.period > held.until:
                    held.until, held.span = at + self.period, self.period
                if not self.live(held, now):
                    self.close(key)

    def clamp(self, now: float) -> None:
        for held in self.grants.values():
            held.until = min(held.until, now + held.span)
            held.seen = min(held.seen, now)
            held.opened = min(held.opened, now)
        for crowd in self.crowds.values():
            crowd.update((user, min(end, now + self.period)) for user, end in crowd.items())

    def rejudge(self, now: float) -> None:
        self.clamp(now)
        for key, held in list(self.grants.items()):
            if key[2] == "login" and held.until > held.seen + self.period:
                held.until, held.span = held.seen + self.period, self.period
            ended = self.ends(held) <= now
            if key[2] == "login" and ((ended and key not in self.opened) or (key[1] in self.denied and not ended)):
                self.close(key)


def covers(order: Revocation, address: Address, user: str) -> bool:
    return order.address in (None, address) and order.user in (None, user)


users = st.sampled_from(["ann", "bob", "carl"])
addresses = st.sampled_from(ADDRESSES)
services = st.sampled_from(["imap", "pop3"])
names = st.sampled_from(["1", "2"])
ages = st.one_of(st.just(0), st.integers(-30, 2500))
event_kinds = st.one_of(
    st.tuples(st.just("login"), users, addresses, services, st.none() | names, ages),
    st.tuples(st.just("logout"), users, addresses, services, names, ages),
)
batches = st.lists(event_kinds, min_size=1, max_size=4)


class LedgerMachine(RuleBasedStateMachine):
    """`model` is what is visible; `future` what will be, once the batch in flight is committed."""

    @initialize(period=st.sampled_from([600, 1800]))
    def start(self, period: int) -> None:
        self.desk = Desk(terms=Terms(period=period, max_session=MAX_SESSION, **LIMITS))
        self.model = Model(period)
        self.future: Model | None = None
        self.draft: Draft | None = None
        self.submitted = False
        self.fails = False
        self.owed: dict[Address, dict[str, float]] = {}
        self.given_up = False
        self.unclamped: set[Address] = set()
        """Since the clock was set back, what has not been come to."""
        self.unswept: set[Address] = set()
        """The same since everything was closed."""

    @property
    def now(self) -> float:
        return self.desk.now

    def begin(self) -> None:
        self.draft = self.desk.ledger.draft(self.now)
        self.future = deepcopy(self.model)
        self.future.closed, self.future.opened = set(), set()
        self.future.crowds.update(deepcopy(self.owed))
        self.owed = {}
        self.submitted = False

    @precondition(lambda self: not self.submitted)
    @rule(kinds=batches)
    def events(self, kinds: list[tuple[str, str, Address, str, str | None, int]]) -> None:
        if self.future is None:
            self.begin()
        assert self.future is not None
        assert self.draft is not None
        for kind, user, address, service, session, age in kinds:
            at = self.now - age
            if kind == "login":
                self.future.login(
                    event := login(user, address, at=at, service=service, session=session),
                    self.now,
                    self.desk.ledger.revocations(),
                )
                fill(self.draft, [event], self.now)
            else:
                ended = logout(session, at=at, service=service)
                self.future.logout(ended, self.now)
                fill(self.draft, [ended], self.now)

    @precondition(lambda self: self.future is not None and not self.submitted)
    @rule(fails=st.booleans())
    def submit(self, fails: bool) -> None:
        assert self.future is not None
        assert self.draft is not None
        self.desk.ledger.close(self.draft)
        record = self.draft.record({})
        for key in self.future.closed:
            self.model.grants.pop(key, None)
        if not fails:
            self.desk.rows.write(record)
        self.submitted, self.fails = True, fails

    @precondition(lambda self: self.submitted)
    @rule(given_up=st.booleans())
    def answer(self, given_up: bool) -> None:
        """The store has written it, or has not."""
        assert self.future is not None
        assert self.draft is not None
        if self.fails:
            if given_up:
                self.desk.ledger.give_up(self.draft)
            self.owed = self.future.crowds
        else:
            self.desk.ledger.accept(self.draft)
            self.model = self.future
            self.model.opened = set()
        self.given_up = self.fails
        self.future = self.draft = None
        self.submitted = False

    @precondition(lambda self: self.future is None)
    @rule(user=users, address=addresses, span=st.sampled_from([300, 3000]))
    def allow(self, user: str, address: Address, span: int) -> None:
        self.begin()
        assert self.future is not None
        key = (address, user, "allow")
        held = self.future.grants.get(key)
        if held is not None and not self.future.live(held, self.now):
            held = None
        until, span_ = max((held.until, held.span) if held else (-math.inf, 0.0), (self.now + span, float(span)))
        self.future.grants[key] = Held(until, self.now, span_, held.opened if held else self.now)
        self.desk.allow(address, user, span=span)
        self.model, self.future, self.draft, self.given_up = self.future, None, None, False

    @rule(address=st.none() | addresses, user=st.none() | users, deny=st.none() | st.sampled_from([5, 900]))
    def revoke(self, address: Address | None, user: str | None, deny: int | None) -> None:
        self.desk.revoke(address, user, deny=deny)
        order = self.desk.ledger.revocations()[-1]
        for model in (self.model, self.future):
            for key in list(model.grants) if model else []:
                if model is not None and covers(order, key[0], key[1]):
                    model.close(key)

    @precondition(lambda self: (self.future is None or self.submitted) and not self.unclamped)
    @rule()
    def wipe(self) -> None:
        """Between two instants, for the clock stands still while we do much else."""
        order = self.desk.revocation(at=self.now + 0.5)
        self.desk.now += 1
        self.desk.do(lambda draft: draft.wipe(order))
        self.unswept = set(self.desk.ledger.addresses())
        for model in (self.model, self.future):
            for key in list(model.grants) if model else []:
                if model is not None:
                    model.close(key)
        self.notice_that_all_is_swept()

    @precondition(lambda self: self.unswept)
    @rule()
    def sweep_a_piece(self) -> None:
        self.desk.do(partial(Draft.rejudge, addresses={self.unswept.pop()}))
        self.notice_that_all_is_swept()

    def notice_that_all_is_swept(self) -> None:
        if not self.unswept:
            self.desk.ledger.swept(self.desk.ledger.wiped_at)

    @rule()
    def expire(self) -> None:
        untouched = set()
        if self.future is not None:
            untouched = {key for key, held in self.model.grants.items() if self.future.grants.get(key) == held}
        self.desk.expire()
        for key in self.model.expire(self.now) & untouched:
            assert self.future is not None
            self.future.close(key)

    @precondition(lambda self: (self.future is None or self.submitted) and not self.unclamped)
    @rule(seconds=st.one_of(st.integers(1, 700), st.floats(0.1, 3000)))
    def time_passes(self, seconds: float) -> None:
        self.desk.now += seconds

    @precondition(lambda self: not self.unswept)
    @rule(seconds=st.integers(3, 3000), in_pieces=st.booleans())
    def clock_steps_back(self, seconds: int, in_pieces: bool) -> None:
        self.desk.now -= seconds
        self.unclamped = set()
        if in_pieces:
            self.desk.do(lambda draft: draft.clamp_rest())
            self.unclamped = set(self.desk.ledger.addresses())
        else:
            self.desk.clamp()
        for model in (self.model, self.future):
            if model is not None:
                model.clamp(self.now)
        for crowd in self.owed.values():
            crowd.update((user, min(end, self.now + self.model.period)) for user, end in crowd.items())

    @precondition(lambda self: self.unclamped)
    @rule()
    def clamp_a_piece(self) -> None:
        self.desk.do(partial(Draft.clamp, addresses={self.unclamped.pop()}))

    @rule(
        period=st.sampled_from([600, 1800]),
        max_session=st.sampled_from([MAX_SESSION, MAX_SESSION // 2]),
        denied=st.none() | users,
        in_pieces=st.booleans(),
    )
    def reload(self, period: int, max_session: int, denied: str | None, in_pieces: bool) -> None:
        names = frozenset({denied} if denied else ())
        terms = Terms(period=period, max_session=max_session, **LIMITS)
        self.expire()
        for model in (self.model, self.future):
            if model is not None:
                model.period, model.max_session, model.denied = period, max_session, names
                model.rejudge(self.now)
        self.desk.reload(Rules(RuleTerms(deny_users=names)), terms, in_pieces=in_pieces)
        self.unswept = set()
        for crowd in self.owed.values():
            crowd.update((user, min(end, self.now + period)) for user, end in crowd.items())

    @precondition(lambda self: self.future is None and not self.given_up)
    @rule()
    def restart(self) -> None:
        self.desk.restart()
        self.unclamped = self.unswept = set()
        self.model.expire(self.now)
        self.model.rejudge(self.now)

    @precondition(lambda self: self.future is not None and not self.given_up and not (self.submitted and self.fails))
    @rule()
    def crash(self) -> None:
        """While a batch is filled (then it is lost), or after it was written and before we knew."""
        assert self.future is not None
        assume(not self.desk.ledger._state.rewrite)  # what was shortened meanwhile is clamped at start, to other times
        if self.submitted:
            self.model = self.future
            self.model.opened = set()
        self.future = self.draft = None
        self.submitted = False
        self.owed = {}
        self.restart()

    @invariant()
    def finds_what_the_model_finds(self) -> None:
        found: dict[tuple[Address, str, str], float] = {}
        for address in ADDRESSES:
            outcome = self.desk.ledger.find(address, self.now)
            if isinstance(outcome, Allowed):
                found.update((key(grant), self.desk.ledger.outlook(grant)[0]) for grant in outcome.grants)
        model = self.model
        live = {name: model.ends(held) for name, held in model.grants.items() if model.live(held, self.now)}
        if self.unclamped:
            assert found.keys() <= live.keys()
            return
        assert found == live
        assert {key(grant) for grant in self.desk.ledger.grants(self.now)} == live.keys()
        for grant in self.desk.ledger.grants(self.now):
            assert grant.opened == model.grants[key(grant)].opened

    @invariant()
    def allows_whom_a_map_has_an_entry_for(self) -> None:
        ledger = self.desk.ledger
        for address in ADDRESSES:
            assert ledger.allows(address, self.now) == (ledger.entry(address, self.now) is not None)

    @invariant()
    def knows_when_to_wake(self) -> None:
        ends = [self.desk.ledger.outlook(grant)[0] for grant in self.desk.ledger.grants(self.now)]
        if ends:
            end = self.desk.ledger.next_end()
            assert end is not None
            assert end <= min(ends)

    @precondition(lambda self: self.future is None and not self.given_up)
    @invariant()
    def rows_are_as_memory(self) -> None:
        """Once nothing is in flight, and what a reload shortened in flight is written."""
        self.desk.do(lambda draft: None)
        assert self.desk.rows.grants == {cell.grant.key: cell.grant for cell in self.desk.ledger._book}
        sessions = self.desk.ledger._book.sessions
        assert self.desk.rows.sessions == {key: sessions.get(key) for key in sessions}


def key(grant: Grant) -> tuple[Address, str, str]:
    return (grant.address, grant.user, grant.basis)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=max(150, settings().max_examples), stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
