"""The nouns: what happened (`Login`, `Logout`), who may relay (`Grant`), what an event did, what was asked.

Every time is an `Instant`: seconds since the epoch, UTC, as a float. Every span is in seconds. User names are `str` by
surrogateescape, because a mail server logs bytes. Addresses are in the canonical form that `poprelay.address` makes:
`192.0.2.7`, `2001:db8::7`, or a whole network `2001:db8:0:1::/64` where the config grants those.
"""

from __future__ import annotations

from typing import Final, Literal, NewType, TypeAlias

import msgspec

Instant: TypeAlias = float
Address = NewType("Address", str)
Basis: TypeAlias = Literal["login", "allow", "standing"]

LONGEST_NAME: Final = 320
"""Characters that a user's name has at most, to open a grant: 64, the @, and 255 (RFC 5321, 4.5.3.1). Logs hold
whatever clients said, and names are kept."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where an event was read: the source's name, and the host that the line names ('' where it names none)."""

    source: str
    host: str


class Login(msgspec.Struct, frozen=True, gc=False, tag="login"):
    """A successful login. `tls` and `session` are None where the log does not say."""

    at: Instant
    user: str
    address: Address
    service: str
    tls: bool | None
    session: str | None
    agent: str
    origin: Origin


class Logout(msgspec.Struct, frozen=True, gc=False, tag="logout"):
    """The end of a session. What the line does not say is None; `session` is what joins it to its login."""

    at: Instant
    user: str | None
    address: Address | None
    service: str
    session: str | None
    agent: str
    origin: Origin


Event: TypeAlias = Login | Logout


class SessionKey(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What joins a logout to its login (RFC-less: each server numbers its sessions in its own way)."""

    source: str
    host: str
    service: str
    session: str


class GrantKey(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A grant is one permission of one user at one address, on one basis."""

    address: Address
    user: str
    basis: Basis


class Grant(msgspec.Struct, frozen=True, gc=False):
    """The permission of (address, user, basis) to relay `until` a time.

    `until` is what the login itself gives (an infinite one stands for always: `standing`). While a session is open the
    grant may hold beyond it; `Ledger.ends` says until when in all. `span` is the longest time it may ever have left, so
    that a clock which stepped back cannot stretch it. `seen` is the last sign of life: the last login or logout.
    """

    address: Address
    user: str
    basis: Basis
    opened: Instant
    until: Instant
    last_login: Instant
    seen: Instant
    span: float
    agent: str
    reason: str = ""
    renewals: int = 0

    @property
    def key(self) -> GrantKey:
        return GrantKey(self.address, self.user, self.basis)


class Opened(msgspec.Struct, frozen=True, gc=False, tag="opened", tag_field="change"):
    """A grant began."""

    at: Instant
    grant: Grant


class Renewed(msgspec.Struct, frozen=True, gc=False, tag="renewed", tag_field="change"):
    """A live grant was extended, or its session ended; `grant` is what it is now."""

    at: Instant
    grant: Grant


class Closed(msgspec.Struct, frozen=True, gc=False, tag="closed", tag_field="change"):
    """A grant ended: `reason` is expired, revoked, config, gateway or wiped."""

    at: Instant
    grant: Grant
    reason: str


class Refused(msgspec.Struct, frozen=True, gc=False, tag="refused", tag_field="change"):
    """A login that opened nothing, and the rule that said so."""

    at: Instant
    address: Address
    user: str
    agent: str
    reason: str


Change: TypeAlias = Opened | Renewed | Closed | Refused


class Revocation(msgspec.Struct, frozen=True, gc=False):
    """An order that beats every login read from lines up to the second of `at`. It names an address, a user, or both
    (then only their common grants); neither means everything. `deny_until` also refuses new logins until then."""

    id: str
    at: Instant
    by: str
    address: Address | None
    user: str | None
    reason: str
    deny_until: Instant | None = None


class Allowed(msgspec.Struct, frozen=True, gc=False):
    """Found: the live grants of the address, never empty."""

    grants: tuple[Grant, ...]


class Absent(msgspec.Struct, frozen=True, gc=False):
    """No live grant."""


class Unavailable(msgspec.Struct, frozen=True, gc=False):
    """Cannot tell, and why. Never to be read as found, nor silently as absent."""

    why: str


Outcome: TypeAlias = Allowed | Absent | Unavailable
