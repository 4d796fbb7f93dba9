"""From a draft to what is visible, by way of the store.

Life of a draft: it is filled; `close` takes from sight what it ends or shortens; `record` says what must be committed;
`accept` shows what it opens. One that opens is *flying* from its first event until it is accepted. There is at most
one: when the next begins, the former was given up (its commit failed), and what it had closed is owed by the new one.
Others, which only close, run to their end at any moment between; they reach into the flying one too. So:

- what is revoked while its opening is being committed never becomes visible, and its row is deleted after it was put;
- what expires while its renewal is being committed goes out of sight, and comes back when that is accepted.
"""

from __future__ import annotations

from poprelay.ledger.overlay import Overlay
from poprelay.ledger.record import Cell, Joined, Key, Record
from poprelay.model import Address, Change, Closed, Opened, Renewed


def begin(overlay: Overlay) -> None:
    """This one opens. If another was flying, it is given up, and what it closed must be committed here."""
    other = overlay.flying
    overlay.opening = True
    overlay.state.flying = overlay
    if other is None:
        return
    owed = other.owed + (other.closings if other.closed else [])
    for ended in other.suspended.values():
        change = Closed(min(other.holding.ends(ended), overlay.now), ended.grant, "expired")
        owed.append(overlay.closing(ended, change))
    overlay.owed = owed + overlay.owed
    overlay.changes[:0] = [closing.change for closing in owed]
    if other.closed:
        for revocation in other.revocations:
            overlay.revocations.add(revocation)
        overlay.revocations_gone += other.revocations_gone
        overlay.crowds.update(other.crowds)


def close(overlay: Overlay) -> set[Address]:
    """Take from sight at once what this draft ends or shortens; returns the addresses concerned."""
    state = overlay.state
    book = state.book
    overlay.closed = True
    touched: set[Address] = set()
    late: set[int] = set()
    for closing in overlay.closings:
        if closing.seen is None:
            continue
        key = closing.cell.key
        touched.add(key[0])
        if book.remove(key) is None and overlay.suspended.pop(key, None) is None:
            late.add(id(closing.change))
    if late:  # somebody else closed them while this one was being filled, and said so
        overlay.closings = [closing for closing in overlay.closings if id(closing.change) not in late]
        overlay.changes[:] = [change for change in overlay.changes if id(change) not in late]
    for key in tuple(overlay.cut):
        cell = overlay.cells[key]
        if cell is not None and book.get(key) is not None:
            book.put(cell)
            touched.add(key[0])
            if overlay.opening:
                state.rewrite[key] = cell
        elif overlay.suspended.pop(key, None) is not None:
            del overlay.cut[key]
        else:
            del overlay.cut[key], overlay.cells[key]
    _reach_into_flying(overlay, touched)
    for revocation in overlay.revocations:
        state.revocations.add(revocation)
        if overlay.wiping:
            state.wiped_at = max(state.wiped_at, revocation.at)
    for name in overlay.revocations_gone:
        state.revocations.remove(name)
    return touched


def accept(overlay: Overlay) -> set[Address]:
    """Show what this draft opens and renews; returns the addresses concerned."""
    state = overlay.state
    book = state.book
    assert overlay.closed, "close it and commit its record first"
    if overlay.opening:
        assert state.flying is overlay, "another draft that opens has begun since"
        state.flying = None
    for key, short in overlay.rewriting.items():
        if state.rewrite.get(key) is short:
            state.rewrite.pop(key, None)
    book.holding.joined.update(overlay.proven)
    touched: set[Address] = set()
    for key, cell in overlay.cells.items():
        if cell is not None and key not in overlay.cut:
            book.put(cell)
            touched.add(key[0])
    state.remember(overlay.refusals, overlay.now)
    for address, crowd in overlay.crowds.items():
        if crowd is None:
            state.crowds.pop(address, None)
        else:
            state.crowds[address] = crowd
    for login, early in overlay.ahead.items():
        if early is None:
            state.ahead.remove(login)
        else:
            state.ahead.put(login, early)
    if overlay.dropped:
        overlay.changes[:] = [
            change for number, change in enumerate(overlay.changes) if not _undone(overlay, number, change)
        ]
    return touched


def give_up(overlay: Overlay) -> None:
    """Its commit failed: what it opens and renews is not to come. What it closed is still its own, until the next one
    begins, and so is what ended meanwhile, out of sight for its sake: that may yet be revoked."""
    overlay.cells = {key: cell for key, cell in overlay.cells.items() if key in overlay.suspended}


def record(overlay: Overlay, positions: dict[str, bytes]) -> Record:
    """All that must be committed, with the positions that it takes sources to."""
    rows = [cell for key, cell in overlay.cells.items() if cell is not None and key not in overlay.replacements]
    return Record(  # in tuples: while they wait for a slow disk the collector need not look into them again
        gone=tuple(closing.gone for closing in overlay.owed + overlay.closings),
        grants=(*rows, *_rewritten(overlay)),
        joined=tuple(Joined(*proof) for proof in overlay.proven),
        revocations=tuple(overlay.revocations),
        revocations_gone=tuple(overlay.revocations_gone),
        history=tuple(change for change in overlay.changes if isinstance(change, Opened | Closed)),
        refusals=tuple(overlay.refusals.values()),
        crowds={address: b"" if crowd is None else crowd.to_bytes() for address, crowd in overlay.crowds.items()},
        ahead=dict(overlay.ahead),
        positions=positions,
    )


def _reach_into_flying(overlay: Overlay, touched: set[Address]) -> None:
    flying = overlay.flying
    for cell in overlay.suspending:
        key = cell.key
        if overlay.state.book.remove(key) is not None:
            touched.add(key[0])
        if flying is not None and (newer := flying.cells.get(key)) is not None:
            _keep(flying, cell, newer)
    if flying is None:
        return
    for key, cell in overlay.replacements.items():
        flying.cells[key] = cell
        overlay.state.rewrite[key] = cell
    if overlay.set_back:
        flying.now = min(flying.now, overlay.now)
        for crowd in filter(None, flying.crowds.values()):
            crowd.clamp(overlay.now + overlay.state.terms.period)
    for key in overlay.drops:
        _drop(flying, key)


def _rewritten(overlay: Overlay) -> list[Cell]:
    """Rows that differ from what is visible, and can be put right now: no commit of theirs is awaited."""
    flying = overlay.flying
    newer = flying.cells if flying is not None else {}
    overlay.rewriting = {key: cell for key, cell in overlay.state.rewrite.items() if newer.get(key) is None}
    cells = [overlay.state.book.get(key) for key in overlay.rewriting if key not in overlay.cells]
    return [cell for cell in cells if cell is not None]


def _keep(overlay: Overlay, ended: Cell, newer: Cell) -> None:
    """What this draft renewed is out of sight now, so the draft must know by itself what it rests on."""
    overlay.suspended[ended.key] = ended
    for session in newer.sessions:
        overlay.sessions.setdefault(session.key, session)
    overlay.count_fresh(ended.key)


def _drop(overlay: Overlay, key: Key) -> None:
    cell = overlay.cells.pop(key, None)
    if cell is not None:
        overlay.dropped[key] = len(overlay.changes)
        overlay.fresh.discard(key)
        overlay.suspended.pop(key, None)
        for session in cell.sessions:
            overlay.sessions[session.key] = None


def _undone(overlay: Overlay, number: int, change: Change) -> bool:
    """Whether the grant that this change opened or renewed was closed from outside since."""
    if not isinstance(change, Opened | Renewed):
        return False
    grant = change.grant
    return number < overlay.dropped.get((grant.address, grant.user, grant.basis), 0)
