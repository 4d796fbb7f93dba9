"""The history of every change: what is kept of it, for how long, and how it is asked.

Opened and closed grants have a row each; the refusals of one address, user and reason within one period share one,
which carries a count. Renewals are only counted on the grant. It is personal data, so it is pruned by age and number.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from poprelay.errors import StoreDamaged
from poprelay.ledger import state
from poprelay.ledger.connection import connect_to_read, reporting
from poprelay.ledger.record import Refusal
from poprelay.ledger.tables import Row, raw, text, values, write
from poprelay.model import Address, Closed, Instant, Opened
from poprelay.spans import rfc3339

_COLUMNS: Final = "at, change, address, user, basis, opened, until, agent, reason, first_at, count"
_REFUSED: Final = (
    "SELECT address, user, reason, agent, first_at, at, count FROM history "
    "WHERE change = 'refused' AND at >= ? ORDER BY at DESC, id DESC LIMIT ?"
)
_OLDEST: Final = "DELETE FROM history WHERE id IN (SELECT id FROM history"


class Past(msgspec.Struct, frozen=True, gc=False):
    """One row of the history. `id` numbers rows as they come; `at` is the instant of the change; of refusals that of
    the last, `first_at` that of the first, and `count` how many. `opened` and `until` are the grant's, None where none
    was opened."""

    id: int
    at: Instant
    change: str
    address: Address
    user: str
    basis: str | None
    opened: Instant | None
    until: Instant | None
    agent: str
    reason: str
    first_at: Instant | None
    count: int

    def row(self) -> dict[str, Any]:
        """With RFC 3339 times and the stable keys; `sessions` is not kept, so it is None."""
        return {
            "at": rfc3339(self.at),
            "change": self.change,
            "address": self.address,
            "user": self.user,
            "basis": self.basis,
            "opened": rfc3339(self.opened),
            "until": rfc3339(self.at if self.change == "closed" else self.until),
            "agent": self.agent,
            "sessions": None,
            "reason": self.reason,
            "count": self.count,
        }


class History:
    """The history, read on a connection of its own, beside a daemon or without one.

    Raises StoreError if there is no ledger, StoreDamaged if it cannot be read, NotPermitted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect_to_read(path)

    def find(
        self,
        *,
        user: str | None = None,
        address: Address | None = None,
        since: Instant = -math.inf,
        before: Past | None = None,
        limit: int | None = None,
    ) -> Iterator[Past]:
        """Every change since then, newest first; of this user, at this address, and after the row `before` in this
        order, where named.

        Read it to the end soon: until then the write-ahead log cannot shrink.
        """
        stretches: list[tuple[str, list[Any]]] = [("at >= ?", [since])]
        if before is not None:  # one comparison of (at, id) would pass over all rows of that instant again
            stretches = [("at = ? AND id < ?", [before.at, before.id]), ("at >= ? AND at < ?", [since, before.at])]
        whose = ""
        asked: list[Any] = []
        if user is not None:
            whose += " AND user = ?"
            asked.append(raw(user))
        if address is not None:
            whose += " AND address = ?"
            asked.append(address)
        query = " UNION ALL ".join(
            f"SELECT id, {_COLUMNS} FROM history WHERE {stretch}{whose}"  # noqa: S608  # our own words only
            for stretch, _ in stretches
        )
        given = [value for _, edges in stretches for value in (*edges, *asked)]
        given.append(-1 if limit is None else limit)
        with reporting(self._path, "read"):
            for row in self._connection.execute(f"{query} ORDER BY at DESC, id DESC LIMIT ?", given):
                yield _past(row)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def append(to: sqlite3.Connection, changes: Sequence[Opened | Closed], node: int, seq: Callable[[], int]) -> None:
    """Write a row for each change."""
    rows: list[Row] = []
    for change in changes:
        grant = change.grant
        name, reason = ("closed", change.reason) if isinstance(change, Closed) else ("opened", grant.reason)
        rows.append(
            (change.at, name, grant.address, raw(grant.user), grant.basis, grant.opened, grant.until,
             raw(grant.agent), raw(reason), None, 1, node, seq())
        )  # fmt: skip
    write(to, _append, rows)


def put_refusals(to: sqlite3.Connection, refusals: Sequence[Refusal], node: int, seq: Callable[[], int]) -> None:
    """Write what each row of refusals is now; one of the same address, user, reason, first_at is bumped."""
    rows: list[Row] = [
        (refusal.last_at, "refused", refusal.address, raw(refusal.user), "login", None, None,
         raw(refusal.agent), raw(refusal.reason), refusal.first_at, refusal.count, node, seq())
        for refusal in refusals
    ]  # fmt: skip
    write(to, _bump, rows)


def refusals(connection: sqlite3.Connection, since: Instant) -> list[Refusal]:
    """The rows of refusals that were bumped since then, newest first, so that counting goes on; no more of them than
    are counted on."""
    if since == math.inf:
        return []
    rows = connection.execute(_REFUSED, (since, state.REMEMBERED))
    try:
        return [
            Refusal(address, text(user), text(reason), text(agent), first_at, at, count)
            for address, user, reason, agent, first_at, at, count in rows
        ]
    except AttributeError as error:  # what should be bytes is not
        raise StoreDamaged("a row of the ledger's history is damaged") from error


def prune(connection: sqlite3.Connection, before: Instant, most: int, step: int) -> int:
    """Delete up to `step` rows: the oldest of those before that instant, or beyond `most` rows. Returns how many.

    Rows are numbered as they come, so the number of the newest says which are beyond; counting them would take longer.
    """
    deleted = connection.execute(f"{_OLDEST} WHERE at < ? ORDER BY at LIMIT ?)", (before, step)).rowcount
    if deleted:
        return deleted
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM history").fetchone()
    return connection.execute(f"{_OLDEST} WHERE id <= ? ORDER BY id LIMIT ?)", (newest - most, step)).rowcount


def _past(row: Row) -> Past:
    id_, at, change, address, user, basis, opened, until, agent, reason, first_at, count = row
    try:
        return Past(
            id_, at, change, address, text(user), basis, opened, until, text(agent), text(reason), first_at, count
        )
    except AttributeError as error:  # what should be bytes is not
        raise StoreDamaged("a row of the ledger's history is damaged") from error


@cache
def _append(count: int) -> str:
    return f"INSERT INTO history ({_COLUMNS}, node, seq) VALUES {values(13, count)}"  # noqa: S608  # our own words only


@cache
def _bump(count: int) -> str:
    return (
        f"{_append(count)} ON CONFLICT (address, user, reason, first_at) WHERE change = 'refused' DO UPDATE SET "
        "at = excluded.at, agent = excluded.agent, count = excluded.count, node = excluded.node, seq = excluded.seq"
    )
