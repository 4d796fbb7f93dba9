"""What an MTA would see for an address now, and why or why not, in one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from poprelay.daemon.rows import Row, grant_row
from poprelay.model import Absent, Address, Allowed, Unavailable

if TYPE_CHECKING:
    from poprelay.daemon.operations import House


def _despite(rows: Sequence[Row]) -> str:
    """What lets an address relay whose logins are refused, as the end of the sentence that says why they are."""
    given = {row["basis"] for row in rows}
    for basis, noun in (("allow", "an allow"), ("standing", "a standing grant")):
        if basis in given:
            return f"; that does not count against {noun}"
    return ""


def explanation(house: House, address: Address) -> Row:
    """The row that `explain` yields: `answer` is yes, no or 'cannot tell', and `why` are sentences."""
    keeper = house.keeper
    ledger = keeper.ledger
    key = ledger.key(address)
    answer, code = "no", 1
    why: list[str] = []
    rows: list[Row] = []
    match keeper.find(key):
        case Allowed(grants):
            answer, code = "yes", 0
            rows = [grant_row(ledger, grant) for grant in grants]
        case Unavailable(reason):
            answer, code = "cannot tell", 3
            why.append(reason)
        case Absent():
            why.append("it has no live grant")
    if house.observe and answer == "yes":
        answer, code = "no", 1
        why.append("it has a live grant, but this daemon only observes (run --observe): no MTA is told")
    maps = house.map_holds(key)
    if not house.is_served:
        why.append("no daemon is running, so no service answers: an MTA that asks one will try again later")
        if not maps:
            answer, code = "cannot tell", 3
    refusal = ledger.rules.sentence(key)
    if refusal:
        why.append(f"a login would open nothing: {refusal}{_despite(rows)}" if rows else refusal)
    denials = ledger.denials(address, keeper.clock.now())
    why.extend(f"a login would open nothing: {denial}" if rows else denial for denial in denials)
    return {
        "address": address,
        "key": key,
        "answer": answer,
        "why": why,
        "grants": rows,
        "maps": maps,
        "exit": code,
    }
