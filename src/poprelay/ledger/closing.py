"""What ends or shortens grants: time, an order, another config, a clock that was set back."""

from __future__ import annotations

from collections.abc import Iterable, Set

from msgspec.structs import replace

from poprelay.ledger.book import clamped
from poprelay.ledger.crowds import Crowd
from poprelay.ledger.judgement import Judgement
from poprelay.ledger.overlay import Overlay
from poprelay.ledger.record import Cell
from poprelay.ledger.terms import Terms
from poprelay.model import Address, Instant, Revocation


def bury(overlay: Overlay, cell: Cell) -> None:
    """Close a grant that is over (`Overlay.live` says so)."""
    if overlay.state.is_wiped(cell):
        _end(overlay, cell, "wiped", overlay.state.wiped_at)
    else:
        overlay.close_grant(cell, "expired", overlay.holding.ends(cell))


def expire(overlay: Overlay, limit: int | None = None) -> None:
    """Close what has ended, of the next `limit` in the schedule or of all; let go of revocations, crowds and early
    logins that are over."""
    now = overlay.now
    state = overlay.state
    ends = overlay.holding.ends
    seen = set()
    for cell in sorted(state.book.due(now, limit), key=lambda cell: (ends(cell), cell.key)):
        key = cell.key
        if key not in seen and key not in overlay.cells and not overlay.suspend(cell):
            overlay.close_grant(cell, "expired", ends(cell))
        seen.add(key)
    overlay.revocations_gone += state.revocations.ended(now, kept(state.terms))
    for address, crowd in state.crowds.items():
        if address not in overlay.crowds and crowd.over(now):
            overlay.crowds[address] = None
    overlay.ahead.update(dict.fromkeys(state.ahead.ended(now)))


def revoke(overlay: Overlay, revocation: Revocation) -> None:
    """Close every grant in the scope, and keep the order."""
    address, user = revocation.address, revocation.user
    reason = "wiped" if address is None and user is None else "revoked"
    if revocation.reason not in ("", reason):
        reason += f": {revocation.reason}"
    for cell in overlay.over(None if address is None else {overlay.state.key(address)}, user):
        _end(overlay, cell, reason, revocation.at)
    overlay.revocations.add(revocation)


def wipe(overlay: Overlay, revocation: Revocation) -> None:
    """Keep the order that closes everything; what it closes is over at once, and closed when it is judged."""
    overlay.wiping = True
    overlay.revocations.add(revocation)


def lift(overlay: Overlay, names: Iterable[str]) -> None:
    """Let new logins in again that the orders with these ids deny; what they closed stays closed."""
    wanted = set(names)
    for revocation in list(overlay.state.revocations):
        if revocation.id in wanted:
            overlay.revocations.add(replace(revocation, deny_until=None))


def rejudge(overlay: Overlay, addresses: Set[Address]) -> None:
    """Close what is over at these addresses or the config refuses, and cut the rest to its period."""
    now = overlay.now
    book = overlay.state.book
    ends = overlay.outlook.ends
    judgement = Judgement(overlay.state)
    if overlay.state.ends_sooner:
        for cell in (cell for address in addresses for cell in book.at(address)):
            book.wake(cell)

    def shorter(cell: Cell) -> Cell:
        return judgement.cut(clamped(cell, now))

    for cell in overlay.over(addresses, None):
        if overlay.state.is_wiped(cell):
            _end(overlay, cell, "wiped", overlay.state.wiped_at)
            continue
        end = ends(cell)
        if end <= now:
            if overlay.is_known(cell.key):
                overlay.close_grant(cell, "expired", end)
            continue
        short = shorter(cell)
        if judgement.refuses(cell) or (short is not cell and ends(short) <= now):
            overlay.close_grant(cell, "config", now)
        elif short is not cell or overlay.flying is not None:
            overlay.shorten(cell, shorter)


def clamp(overlay: Overlay, addresses: Set[Address]) -> None:
    """No grant at these addresses has more than its span left, and nothing happened after now."""
    now = overlay.now
    for cell in overlay.over(addresses, None):
        overlay.shorten(cell, lambda cell: clamped(cell, now))


def clamp_rest(overlay: Overlay) -> None:
    """Nor did anything that is remembered besides the grants happen after now."""
    now = overlay.now
    state = overlay.state
    overlay.set_back = True
    for revocation in list(state.revocations):
        if revocation.at > now:
            deny = revocation.deny_until
            denied = None if deny is None else deny - (revocation.at - now)
            overlay.revocations.add(replace(revocation, at=now, deny_until=denied))
    latest = now + state.terms.period
    for address, crowd in state.crowds.items():
        if any(until > latest for _, until in crowd):
            clamped_crowd = overlay.crowds[address] = Crowd(crowd)
            clamped_crowd.clamp(latest)


def _end(overlay: Overlay, cell: Cell, reason: str, at: Instant) -> None:
    """Close a grant at an order, if it had not ended before."""
    end = overlay.outlook.ends(cell)
    if end <= overlay.now:
        overlay.close_grant(cell, "expired", end)
    else:
        overlay.close_grant(cell, reason, at)


def kept(terms: Terms) -> float:
    """How long a revocation is kept: as long as a login from before it could still count."""
    return max(terms.period, terms.max_session)
