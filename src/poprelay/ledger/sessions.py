"""Sessions: what a login begins and a logout with the same key ends."""

from __future__ import annotations

from poprelay.ledger.book import combination
from poprelay.ledger.closing import bury
from poprelay.ledger.overlay import Overlay
from poprelay.ledger.record import Cell, Key, OpenSession
from poprelay.ledger.terms import OPEN_SESSIONS, UNPROVEN_SESSIONS
from poprelay.model import Grant, Instant, Login, Logout, SessionKey


def opened(
    overlay: Overlay, login: Login, grant: Grant, sessions: tuple[OpenSession, ...], at: Instant
) -> tuple[OpenSession, ...]:
    """The open sessions of a grant with that of this login; the oldest is forgotten where they would be too many."""
    assert login.session is not None
    name = SessionKey(login.origin.source, login.origin.host, login.service, login.session)
    before = overlay.session(name)
    if before is not None:
        if (before.address, before.user) != (grant.address, grant.user):
            _leave(overlay, before)
        sessions = without(sessions, name)
    session = OpenSession(name, grant.address, grant.user, login.agent, at)  # its copies: sessions need none
    if len(sessions) >= UNPROVEN_SESSIONS:
        joined = overlay.holding.joined
        proven = bool(joined) and combination(session) in joined
        alike = sessions
        if joined and not proven:
            alike = tuple(other for other in sessions if combination(other) not in joined)
        if len(alike) >= (OPEN_SESSIONS if proven else UNPROVEN_SESSIONS):
            overlay.close_session(alike[0].key)
            sessions = sessions[1:] if alike[0] is sessions[0] else without(sessions, alike[0].key)
    overlay.sessions[name] = session
    return (*sessions, session)


def ending(overlay: Overlay, logout: Logout) -> OpenSession | None:
    """The open session that this logout ends: of the same key and agent, and with nothing that speaks against it."""
    if logout.session is None:
        return None
    origin = logout.origin
    session = overlay.session(SessionKey(origin.source, origin.host, logout.service, logout.session))
    if session is None or session.agent != logout.agent:
        return None
    if logout.user is not None and logout.user != session.user:
        return None
    if logout.address is not None and overlay.state.key(logout.address) != session.address:
        return None
    return session


def without(sessions: tuple[OpenSession, ...], key: SessionKey) -> tuple[OpenSession, ...]:
    """The others."""
    return tuple(session for session in sessions if session.key != key)


def _leave(overlay: Overlay, session: OpenSession) -> None:
    """The server has used its key again, so this session is over; when it ended nobody knows."""
    key: Key = (session.address, session.user, "login")
    cell = overlay.present(key)
    if cell is None:
        return
    left = Cell(cell.grant, without(cell.sessions, session.key))
    if overlay.live(left):
        overlay.put(key, left, new=False)
    elif overlay.live(cell):
        overlay.close_grant(cell, "expired", overlay.now)
    else:
        bury(overlay, cell)
