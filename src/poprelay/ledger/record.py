"""What the ledger and its store say to each other: one `Record` is one transaction, a `Snapshot` is all that is kept.

The ledger is pure: it decides, and says in a `Record` what must become durable. The store writes a record as a whole or
not at all, and applies its parts in the order in which they stand here; so a key that is both `gone` and in `grants`
stays. Every part may be written twice without harm but `history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from poprelay.ledger.ahead import Early
from poprelay.model import Address, Basis, Closed, Grant, Instant, Opened, Revocation, SessionKey

Key: TypeAlias = tuple[Address, str, Basis]


class OpenSession(msgspec.Struct, frozen=True, gc=False):
    """A session that has begun and is not known to have ended, and the login grant (address, user) that it belongs to.

    `at` is its login. There is one per key: where a server uses a key again, the later login has it.
    """

    key: SessionKey
    address: Address
    user: str
    agent: str
    at: Instant


class Cell(msgspec.Struct, frozen=True, gc=False):
    """A grant and its open sessions, oldest first. It refers to nothing that could refer back: no cycles."""

    grant: Grant
    sessions: tuple[OpenSession, ...] = ()

    @property
    def key(self) -> Key:
        grant = self.grant
        return (grant.address, grant.user, grant.basis)


class Joined(msgspec.Struct, frozen=True, gc=False):
    """Proof that this source shows, for this agent, host and service, logouts that can be joined to their logins."""

    source: str
    agent: str
    host: str
    service: str


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """One row of the history for all logins of one (address, user, reason) that were refused within one period.

    (address, user, reason, first_at) names the row; `last_at` and `count` are what they are now, not what to add.
    `agent` is that of the last one.
    """

    address: Address
    user: str
    reason: str
    agent: str
    first_at: Instant
    last_at: Instant
    count: int


class Record(msgspec.Struct, gc=False):
    """All that one transaction writes, in the order of writing."""

    gone: Sequence[Grant] = ()
    """Grants that were closed. Delete the row of (address, user, basis) only if its `until` is not later than the one
    here, which is infinite where an order closed it: so an expiry never takes a renewal along."""
    grants: Sequence[Cell] = ()
    """Put: insert, or replace the row of the same (address, user, basis), and of all its sessions."""
    joined: Sequence[Joined] = ()
    """Insert unless there."""
    revocations: Sequence[Revocation] = ()
    """Put by id (its times may have been clamped)."""
    revocations_gone: Sequence[str] = ()
    """Ids to delete."""
    history: Sequence[Opened | Closed] = ()
    """Append, in this order. Renewals are only counted, in `Grant.renewals`."""
    refusals: Sequence[Refusal] = ()
    """Put by (address, user, reason, first_at)."""
    crowds: dict[Address, bytes] = {}
    """Put by address what the ledger remembers of a crowded address, opaque; b'' deletes."""
    ahead: dict[bytes, Early | None] = {}
    """Put by mark; None deletes."""
    positions: dict[str, bytes] = {}
    """Put by source's name, opaque."""

    def is_empty(self) -> bool:
        """Whether there is nothing to write.

        >>> Record().is_empty(), Record(positions={"mail.log": b"17"}).is_empty()
        (True, False)
        """
        return not any(getattr(self, name) for name in self.__struct_fields__)


class Snapshot(msgspec.Struct):
    """All that the store holds but history: what the ledger starts from. The order of lists means nothing.

    `refusals` need only be those with `first_at` within the last period (more do no harm): they let counting go on.
    """

    grants: list[Cell] = []
    joined: list[Joined] = []
    revocations: list[Revocation] = []
    refusals: list[Refusal] = []
    crowds: dict[Address, bytes] = {}
    ahead: dict[bytes, Early] = {}
    positions: dict[str, bytes] = {}
