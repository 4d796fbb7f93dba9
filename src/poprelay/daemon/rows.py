"""Grants and changes as rows: what `--json` prints and what tables are made from. The keys are stable."""

from __future__ import annotations

from typing import Any, TypeAlias

from poprelay.ledger.ledger import Ledger
from poprelay.model import Change, Closed, Grant, Refused, Renewed, Revocation
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
        return {
            "at": rfc3339(change.at),
            "change": "refused",
            "address": change.address,
            "user": change.user,
            "basis": "login",
            "opened": None,
            "until": None,
            "held": False,
            "agent": change.agent,
            "sessions": 0,
            "reason": change.reason,
            "renewals": 0,
        }
    row = {"at": rfc3339(change.at), **grant_row(ledger, change.grant)}
    if isinstance(change, Closed):
        row.update(change="closed", reason=change.reason, until=row["at"], held=False)
    else:
        row["change"] = "renewed" if isinstance(change, Renewed) else "opened"
    return row
