"""Every reason that a login is refused or a grant closed for: the first word, up to a colon, of what history says.

They are stable: history, metrics and scripts see them.
"""

from __future__ import annotations

from typing import Final

from poprelay.model import LONGEST_NAME

REFUSED: Final[dict[str, str]] = {
    "denied": "the operator denies this address or user (deny_networks, deny_users, or revoke --deny)",
    "revoked": "it was revoked after this login",
    "special": "the address lies in a special range; the word after the colon says which",
    "own-address": "it is an address of this host",
    "gateway-address": "it is a gateway of this host, behind which others may hide",
    "excluded": "exclude_networks names it: the MTA trusts it anyway",
    "no-tls": "require_tls is set, and the login was not protected by TLS or does not say so",
    "name-too-long": f"the user's name is longer than {LONGEST_NAME} characters, which no mailbox has (RFC 5321)",
    "too-many-addresses": "the user has grants at max_addresses_per_user other addresses",
    "too-many-users": "max_users_per_address users logged in from there within one period: it is no client",
    "too-many-grants": "there are max_grants grants",
}
"""Why a login opened nothing."""

CLOSED: Final[dict[str, str]] = {
    "expired": "its time was over",
    "revoked": "an order closed it; the order's own reason follows",
    "wiped": "everything was closed",
    "config": "the config, as it is since a start or reload, does not let it stand",
    "gateway": "max_users_per_address was crossed there: it is no client",
}
"""Why a grant ended."""


def stable(reason: str) -> str:
    """Why a grant ended, without the words of whoever ordered it: one of `CLOSED`."""
    return reason.partition(":")[0]
