"""A draft of what events and orders do: decided at one moment, committed, and only then visible (see `flight`).

`changes` says what happened, in order. Logins that are older than a period do nothing and are only counted, in `stale`;
`skewed` counts those whose stamp lies after the moment of reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from msgspec.structs import replace

from poprelay.errors import Refused as RefusedError
from poprelay.ledger import caps, closing, flight, sessions
from poprelay.ledger.ahead import Early, mark
from poprelay.ledger.book import combination
from poprelay.ledger.overlay import Overlay
from poprelay.ledger.record import Cell, Key, OpenSession, Record, Refusal
from poprelay.ledger.revocations import beats, denies
from poprelay.ledger.state import State
from poprelay.model import (
    LONGEST_NAME,
    Address,
    Basis,
    Event,
    Grant,
    Instant,
    Login,
    Logout,
    Opened,
    Refused,
    Renewed,
    Revocation,
)

ALWAYS = float("inf")

_SHOWN: Final = 40
"""Characters that are kept of a name which is too long."""


class Draft:
    """Made by `Ledger.draft`. Those that open (login, logout, allow, stand) are made and accepted one at a time."""

    def __init__(self, state: State, now: Instant) -> None:
        self.stale = 0
        self.skewed = 0
        self.overlay = Overlay(state, now)
        self.changes = self.overlay.changes
        self._state = state

    def login(self, login: Login, read_at: Instant) -> None:
        """Open or renew the grant of this user at this address, unless a rule or an order refuses."""
        overlay = self.overlay
        state = self._state
        if state.flying is not overlay:
            flight.begin(overlay)
        period = state.terms.period
        at = login.at
        if at > read_at or state.ahead.by_mark or overlay.ahead:  # asked without a call: each login passes here
            read_at = self._first_read(login, read_at)
        if at > read_at or at > overlay.now:
            at = self._effective(at, read_at)
        until = at + period
        if until <= overlay.now:
            self.stale += 1
            return
        address, user = login.address, login.user
        if ":" in address:
            address = state.key(address)
        if len(user) > LONGEST_NAME:
            self._refuse(at, address, replace(login, user=f"{user[:_SHOWN]}…"), "name-too-long")
            return
        reason = state.rules.refusal(address, user, login.tls)
        if state.revocations.by_id or overlay.revocations.by_id:
            reason = self._ordered(address, user, at) or reason
        if reason is not None:
            self._refuse(at, address, login, reason)
            return
        key: Key = (address, user, "login")
        cell = overlay.present(key)
        if cell is not None and not overlay.live(cell):
            closing.bury(overlay, cell)
            cell = None
        reason = caps.refusal(overlay, key, at, cell)
        if reason is not None:
            self._refuse(at, address, login, reason)
            return
        if cell is None:
            open_: tuple[OpenSession, ...] = ()
            grant = Grant(address, user, "login", at, until, at, at, period, login.agent)
            overlay.changes.append(Opened(at, grant))
        else:
            open_ = cell.sessions
            grant = _later(cell.grant, at, period, login)
            overlay.changes.append(Renewed(at, grant))
        if login.session is not None and len(login.session) <= LONGEST_NAME:
            open_ = sessions.opened(overlay, login, grant, open_, at)
        overlay.put(key, Cell(grant, open_), new=cell is None)

    def take(self, event: Event, read_at: Instant) -> None:
        """Let a login or a logout happen."""
        if isinstance(event, Login):
            self.login(event, read_at)
        else:
            self.logout(event, read_at)

    def logout(self, logout: Logout, read_at: Instant) -> None:
        """End the session, if it is known: its grant, if still live, runs one period from here at least."""
        overlay = self.overlay
        if self._state.flying is not overlay:
            flight.begin(overlay)
        session = sessions.ending(overlay, logout)
        if session is None:
            return
        if combination(session) not in overlay.holding.joined:
            self.expire()  # a proof must not wake what has ended but was not yet looked at
            overlay.prove(combination(session))
        key: Key = (session.address, session.user, "login")
        cell = overlay.present(key)
        if cell is None or not overlay.live(cell):
            return
        at = self._effective(logout.at, read_at)
        grant = _later(cell.grant, at, self._state.terms.period, None)
        overlay.close_session(session.key)
        overlay.changes.append(Renewed(at, grant))
        cell = Cell(grant, sessions.without(cell.sessions, session.key))
        overlay.put(key, cell, new=False)
        if not overlay.live(cell):  # it was held, and we learn late that the session is over
            closing.bury(overlay, cell)

    def allow(
        self,
        address: Address,
        user: str,
        *,
        span: float | None = None,
        by: str = "",
        reason: str = "",
        force: bool = False,
    ) -> None:
        """Open a grant by hand, for `span` seconds (None: one period), or make the present one last as long.

        It passes deny rules and caps. An address that is in a special range, or is this host's own or its gateway's,
        needs `force`; without it errors.Refused is raised, and nothing has happened.
        """
        word = self._state.rules.needs_force(self._state.key(address))
        if word is not None and not force:
            sentence = self._state.rules.sentence(self._state.key(address)) or f"{address} is refused ({word})"
            raise RefusedError(sentence, remedy="if it is meant, say --force", address=address, reason=word)
        lasting = self._state.terms.period if span is None else span
        self._grant(address, user, "allow", span=lasting, agent=by, reason=reason)

    def stand(self) -> None:
        """Open what the config says always stands and is missing. What it no longer says, `rejudge` closes.

        They last for ever and pass as `allow --force` does: the config is the operator's word. One that was revoked
        comes back here, that is at the next start or reload.
        """
        for (address, user), reason in self._state.terms.standing.items():
            cell = self.overlay.present((address, user, "standing"))
            if cell is None or cell.grant.reason != reason:
                self._grant(address, user, "standing", span=ALWAYS, agent="", reason=reason)

    def revoke(self, revocation: Revocation) -> None:
        """Close every grant in its scope, on whatever basis, and keep it: it beats logins up to its second.

        A revocation of one address of a granted network is one of the network. One without address and user closes
        everything, with the reason `wiped`. A standing grant stays away until the next start or reload.
        """
        closing.revoke(self.overlay, revocation)

    def wipe(self, revocation: Revocation) -> None:
        """As `revoke` of everything, where there may be very many: from `Ledger.close` on nothing allows that was
        opened up to now. Draft `rejudge` for all addresses next, which closes it, and say `Ledger.swept`."""
        closing.wipe(self.overlay, revocation)

    def lift(self, names: Iterable[str]) -> None:
        """End the denials of the revocations with these ids. Logins from before each are beaten as ever."""
        closing.lift(self.overlay, names)

    def expire(self, limit: int | None = None) -> None:
        """Close what has ended, of the next `limit` in the schedule or of all; let go of all else that is over."""
        closing.expire(self.overlay, limit)

    def rejudge(self, addresses: Set[Address]) -> None:
        """At start and reload, after `expire` and `clamp_rest`: judge the login grants at these addresses by the rules
        that need only address and user, and cut them to one (new) period past their last sign of life. What the config
        allows no more is closed, with reason `config`, and so is what it said always stands and does not say any more;
        what was wiped, with reason `wiped`.

        After a restart with the clock set back this also clamps. Caps are not applied again; what was allowed by hand
        stays, but for what has no longer the width that `ipv6_prefix` says.
        """
        closing.rejudge(self.overlay, addresses)

    def clamp(self, addresses: Set[Address]) -> None:
        """The clock was set back: after `clamp_rest`, no grant at these addresses has more than its span left."""
        closing.clamp(self.overlay, addresses)

    def clamp_rest(self) -> None:
        """The clock was set back: nothing was revoked after now, and no user counts for longer than a period."""
        closing.clamp_rest(self.overlay)

    def record(self, positions: dict[str, bytes]) -> Record:
        """All that the store must write, in one transaction. Ask after `Ledger.close`, before `Ledger.accept`."""
        return flight.record(self.overlay, positions)

    def _first_read(self, login: Login, read_at: Instant) -> Instant:
        """When it was read for the first time: one whose stamp is ahead of our clock counts from then."""
        known, made = self._state.ahead, self.overlay.ahead
        name = mark(login)
        early = made.get(name) or known.get(name)
        if early is None and login.at > read_at:
            early = made[name] = Early(read_at, login.at + self._state.terms.period)
        return read_at if early is None else min(early.read, read_at)

    def _effective(self, stamp: Instant, read_at: Instant) -> Instant:
        """When it counts as having happened: never after it was read, nor after now."""
        if stamp > read_at:
            self.skewed += 1
            stamp = read_at
        return min(stamp, self.overlay.now)

    def _ordered(self, address: Address, user: str, at: Instant) -> str | None:
        """Whether an order of the operator's stands against a login."""
        over = list(self.overlay.revocations_over(address, user))
        if any(denies(revocation, self.overlay.now) for revocation in over):
            return "denied"
        return "revoked" if any(beats(revocation, at) for revocation in over) else None

    def _refuse(self, at: Instant, address: Address, login: Login, reason: str) -> None:
        overlay = self.overlay
        key = (address, login.user, reason)
        overlay.changes.append(Refused(at, address, login.user, login.agent, reason))
        row = overlay.refusals.get(key) or self._state.refusals.get(key)
        if row is None or abs(at - row.first_at) >= self._state.terms.period:
            row = Refusal(address, login.user, reason, login.agent, at, at, 0)
        overlay.refusals[key] = Refusal(
            address, login.user, reason, login.agent, row.first_at, max(at, row.last_at), row.count + 1
        )

    def _grant(self, address: Address, user: str, basis: Basis, *, span: float, agent: str, reason: str) -> None:
        overlay = self.overlay
        if self._state.flying is not overlay:
            flight.begin(overlay)
        key: Key = (self._state.key(address), user, basis)
        cell = overlay.present(key)
        if cell is not None and not overlay.live(cell):
            closing.bury(overlay, cell)
            cell = None
        now = overlay.now
        if cell is None:
            grant = Grant(*key, now, now + span, now, now, span, agent, reason)
            self.changes.append(Opened(now, grant))
        else:
            was = cell.grant
            until, span = max((was.until, was.span), (now + span, span))
            grant = Grant(*key, was.opened, until, now, now, span, agent, reason or was.reason, was.renewals + 1)
            self.changes.append(Renewed(now, grant))
        overlay.put(key, Cell(grant), new=cell is None)


def _later(grant: Grant, at: Instant, period: float, login: Login | None) -> Grant:
    """The grant after another login, or (None) a logout. It never gets shorter; strings are kept, so that memory does
    not grow with every login."""
    until, span, last_login, seen = grant.until, grant.span, grant.last_login, grant.seen
    agent, renewals = grant.agent, grant.renewals
    if at + period > until:
        until, span = at + period, period
    seen = max(seen, at)
    if login is not None:
        agent, renewals = login.agent, renewals + 1
        last_login = max(last_login, at)
    return Grant(
        grant.address, grant.user, "login", grant.opened, until, last_login, seen, span, agent, grant.reason, renewals
    )
