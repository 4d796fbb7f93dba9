"""What bounds every grant, and which of them always stand."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from poprelay.model import Address

SLACK = 2.0
"""Seconds that the wall clock may fall back without being called a step: as much more time than its span a grant may
have left and still be live. Without this, a clock that is being disciplined would make fresh grants flicker."""

OPEN_SESSIONS = 200
"""Sessions that one grant remembers at most; the oldest is forgotten, and then neither holds nor extends."""

UNPROVEN_SESSIONS = 4
"""The same while no logout has been joined yet: a server that never shows one must not fill the memory."""


class Terms(msgspec.Struct, frozen=True):
    """What the config says about how long and how many (spans in seconds), and who may always relay."""

    period: float
    max_session: float = 86_400.0
    ipv6_prefix: int = 128
    max_addresses_per_user: int = 20
    max_users_per_address: int = 200
    max_grants: int = 1_000_000
    standing: Mapping[tuple[Address, str], str] = {}
    """Of each grant that always stands, address (or IPv6 network) and user, and the reason."""
