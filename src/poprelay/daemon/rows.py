"""Grants and changes as rows: what `--json` prints and what tables are made from. The keys are stable."""

from __future__ import annotations

from typing import Any, TypeAlias

from poprelay.ledger.ledger import Ledger
from poprelay.model import Change, Closed, Grant, Instant, Refused, Renewed, Revocation
from poprelay.spans import rfc3339

Row: TypeAlias = dict[str, Any]


def grant_row(ledger: Ledger, grant: Grant) -> Row:
    """One live grant. `until` is None for always; `held` says that an open session carries it beyond its period."""
    ends, sessions = ledger.outlook(grant)
    return {
        "address": grant.address,
        "user": grant.user,
        "basis": grant.basis,
        "opened": rfc3339(grant.opened),
        "until": rfc3339(ends),
        "held": ends > grant.until,
        "agent": grant.agent,
        "sessions": sessions,
        "reason": grant.reason,
        "renewals": grant.renewals,
    }


def denial_row(order: Revocation) -> Row:
    """One order by which new logins are refused until then; an address or user of None is any."""
    return {
        "address": order.address,
        "user": order.user,
        "at": rfc3339(order.at),
        "until": rfc3339(order.deny_until),
        "by": order.by,
        "reason": order.reason,
    }


def change_row(ledger: Ledger, change: Change) -> Row:
    """One change: the grant that it is about, what it did, when, and why."""
    if isinstance(change, Refused):
        row: Row = {"basis": "login", "opened": None, "until": None, "held": False, "agent": change.agent}
        row |= {"sessions": 0, "reason": change.reason, "renewals": 0}
    else:
        row = grant_row(ledger, change.grant)
    if isinstance(change, Closed):
        row["held"] = False
    brief = change_brief(ledger, change)
    first = {key: brief[key] for key in ("at", "change", "address", "user")}
    return {**first, **row, **brief}


def change_brief(ledger: Ledger, change: Change) -> Row:
    """The same, as far as one line has room for it."""
    until: Instant | None
    about: Grant | Refused
    if isinstance(change, Refused):
        kind, until, about, reason = "refused", None, change, change.reason
    elif isinstance(change, Closed):
        kind, until, about, reason = "closed", change.at, change.grant, change.reason
    else:
        kind, grant = "renewed" if isinstance(change, Renewed) else "opened", change.grant
        until, about, reason = ledger.ends(grant), grant, grant.reason
    return {
        "at": rfc3339(change.at),
        "change": kind,
        "address": about.address,
        "user": about.user,
        "until": rfc3339(until),
        "reason": reason,
    }
