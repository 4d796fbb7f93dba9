"""The caps: how many grants there may be at all, of one user, and at one address."""

from __future__ import annotations

from poprelay.ledger.book import plainly_live
from poprelay.ledger.crowds import Crowd
from poprelay.ledger.overlay import Overlay
from poprelay.ledger.record import Cell, Key
from poprelay.model import Address, Instant


def refusal(overlay: Overlay, key: Key, at: Instant, cell: Cell | None) -> str | None:
    """The cap that refuses this login, or None; `cell` is its live grant, if there is one."""
    terms = overlay.state.terms
    address, user, _ = key
    book = overlay.state.book
    known = cell is None and (user in book.users or user in overlay.fresh_of or terms.max_addresses_per_user < 1)
    if known and _addresses(overlay, user, address) >= terms.max_addresses_per_user:
        return "too-many-addresses"
    crowds = overlay.crowds or overlay.state.crowds or (cell is None and _nearly_crowded(overlay, address))
    if crowds and _crowded(overlay, address, user, at):
        return "too-many-users"
    if cell is None and book.size + len(overlay.fresh) >= terms.max_grants and overlay.is_full():
        return "too-many-grants"
    return None


def _addresses(overlay: Overlay, user: str, besides: Address) -> int:
    """At how many other addresses the user has live login grants; exact only where it matters."""
    book = overlay.state.book
    have = book.users.get(user)
    fresh = overlay.fresh_of.get(user, ())
    about = (0 if have is None else len(have) if isinstance(have, set) else 1) + len(fresh)
    if about < overlay.state.terms.max_addresses_per_user:
        return about
    return sum(_live(overlay, (address, user, "login")) for address in {*book.of(user), *fresh} - {besides})


def _nearly_crowded(overlay: Overlay, address: Address) -> bool:
    """Whether one more grant there might be one too many."""
    place = overlay.state.book.places.get(address)
    about = 0 if place is None else 1 if isinstance(place, Cell) else len(place)
    return about + overlay.fresh_at.get(address, 0) >= overlay.state.terms.max_users_per_address


def _crowded(overlay: Overlay, address: Address, user: str, at: Instant) -> bool:
    """Whether too many users log in from there; if so, none of them keeps a login grant.

    Up to the cap the users counted are those with live login grants. From crossing it on they are those who logged in
    within a period, granted or refused, until none of them did.
    """
    state = overlay.state
    most = state.terms.max_users_per_address
    crowd = overlay.crowds[address] if address in overlay.crowds else state.crowds.get(address)
    if crowd is None:
        if not _nearly_crowded(overlay, address):
            return False
        users = _users(overlay, address)
        if len(users) + (user not in users) <= most:
            return False
        crowd = Crowd(users.items())
    elif address not in overlay.crowds:
        crowd = Crowd(crowd)
    crowd.note(user, at + state.terms.period, overlay.now, most)
    overlay.crowds[address] = crowd
    if crowd.count(overlay.now) <= most:
        return False
    for cell in overlay.present_at(address):
        if cell.grant.basis == "login":
            overlay.close_grant(cell, "gateway", at)
    return True


def _users(overlay: Overlay, address: Address) -> dict[str, Instant]:
    """The users with live login grants there, and until when their last login counts (a held one: from now)."""
    now = overlay.now
    period = overlay.state.terms.period
    return {
        cell.grant.user: cell.grant.until if plainly_live(cell.grant, now) else now + period
        for cell in sorted(overlay.present_at(address), key=lambda cell: cell.grant.until)
        if cell.grant.basis == "login" and overlay.live(cell)
    }


def _live(overlay: Overlay, key: Key) -> bool:
    cell = overlay.present(key)
    return cell is not None and overlay.live(cell)
