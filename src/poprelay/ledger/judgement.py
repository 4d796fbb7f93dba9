"""What the config says of a grant that it did not make: whether it stands, and for how long."""

from __future__ import annotations

from msgspec.structs import replace

from poprelay.ledger.record import Cell
from poprelay.ledger.state import State


class Judgement:
    """A login's grant by the rules that need only address and user, and by the period; a standing one by whether the
    config still says it. One by hand stands. None does whose key has no longer the width that `ipv6_prefix` says, nor
    what was wiped."""

    __slots__ = ("_judge", "_period", "_standing", "_state", "_width")

    def __init__(self, state: State) -> None:
        self._state = state
        self._judge = state.rules.judge
        self._period = state.terms.period
        self._standing = state.terms.standing
        self._width = str(state.terms.ipv6_prefix) if state.terms.ipv6_prefix != 128 else ""

    def of(self, cell: Cell) -> Cell | None:
        """As it stands; None if it does not."""
        return None if self._state.is_wiped(cell) or self.refuses(cell) else self.cut(cell)

    def refuses(self, cell: Cell) -> bool:
        """Whether it does not stand."""
        grant = cell.grant
        if ":" in grant.address and grant.address.partition("/")[2] != self._width:
            return True
        if grant.basis == "login":
            return self._judge(grant.address, grant.user) is not None
        return grant.basis == "standing" and (grant.address, grant.user) not in self._standing

    def cut(self, cell: Cell) -> Cell:
        """With at most one period from its last sign of life."""
        grant = cell.grant
        until = grant.seen + self._period
        if grant.basis != "login" or grant.until <= until:
            return cell
        return Cell(replace(grant, until=until, span=self._period), cell.sessions)
