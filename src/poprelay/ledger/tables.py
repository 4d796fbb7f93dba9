"""What a row of each table is, both ways, and how many of them are written at a time.

SQLite runs a statement without the interpreter's lock, and has to wait for it after each one while the event loop is
busy. So rows are written many to a statement: with one row to each, a busy loop makes a commit 100 times slower.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache, partial
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from poprelay.errors import StoreDamaged
from poprelay.ledger.ahead import Early
from poprelay.ledger.damage import seal
from poprelay.ledger.record import Cell, Joined, OpenSession
from poprelay.model import Address, Basis, Grant, Instant, Revocation, SessionKey

Row: TypeAlias = tuple[Any, ...]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode

MOST: Final = 256
"""Rows in one statement at most, a power of two; what is left over goes in smaller powers of two."""


class Table(NamedTuple):
    """A table whose rows end with a seal; the first `key` columns are what names a row."""

    name: str
    columns: tuple[str, ...]
    key: int

    def put(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Insert the rows, or replace those of the same key, in this order."""
        write(connection, partial(_put, self), [(*row, seal(row)) for row in rows])

    def drop(self, connection: sqlite3.Connection, keys: Sequence[Row], column: str = "") -> None:
        """Delete the rows with these keys. Where a `column` is named, each key is followed by a number, and the row
        stays if its column is above that."""
        write(connection, partial(_drop, self, column), keys)

    def rows(self, connection: sqlite3.Connection) -> Iterable[Row]:
        """Every row, without its seal, in the order of the keys. Raises StoreDamaged where a seal is broken."""
        columns, key = ", ".join(self.columns), ", ".join(self.columns[: self.key])
        for row in connection.execute(f"SELECT {columns}, seal FROM {self.name} ORDER BY {key}"):  # noqa: S608  # ours
            bare = row[:-1]
            if seal(bare) != row[-1]:
                raise StoreDamaged(f"a row of the ledger's table {self.name} is damaged", table=self.name)
            yield bare


META: Final = Table("meta", ("key", "value"), 1)
GRANTS: Final = Table(
    "grants",
    ("address", "user", "basis", "opened", "until", "last_login", "seen", "span", "agent", "reason", "renewals",
     "sessions", "node", "seq"),
    3,
)  # fmt: skip
BUNDLES: Final = Table("bundles", ("seq", "node", "grants"), 1)
"""See `poprelay.ledger.bundles`."""
JOINED: Final = Table("joined", ("source", "agent", "host", "service"), 4)
REVOCATIONS: Final = Table(
    "revocations", ("id", "at", "by", "address", "user", "reason", "deny_until", "node", "seq"), 1
)
CROWDS: Final = Table("crowds", ("address", "crowd"), 1)
AHEAD: Final = Table("ahead", ("login", "read", "until"), 1)
POSITIONS: Final = Table("positions", ("source", "position"), 1)

SEALED: Final = (META, GRANTS, BUNDLES, JOINED, REVOCATIONS, CROWDS, AHEAD, POSITIONS)
"""All that decides who may relay; the history only tells."""


def raw(text: str) -> bytes:
    """Text that a log or a person wrote, as the bytes that it was."""
    return text.encode("utf-8", "surrogateescape")


known = lru_cache(1024)(raw)
"""The same for words that come again and again."""


def text(raw: bytes) -> str:
    """The other way; bytes that are no UTF-8 become surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def grant_row(cell: Cell, node: int, seq: int) -> Row:
    grant = cell.grant
    return (
        grant.address, raw(grant.user), grant.basis, grant.opened, grant.until, grant.last_login, grant.seen,
        grant.span, known(grant.agent), known(grant.reason), grant.renewals,
        pack(cell.sessions) if cell.sessions else b"", node, seq,
    )  # fmt: skip


def grants(rows: Iterable[Row]) -> list[Cell]:
    """The grants of these rows. Equal names and times are one object, for there may be a million."""
    names: dict[bytes, str] = {}
    words: dict[str, str] = {}
    bases: dict[str, Basis] = {"login": "login", "allow": "allow", "standing": "standing"}
    spans: dict[float, float] = {}
    found: list[Cell] = []
    for row in rows:
        address, user, basis, opened, until, last_login, seen, span, agent, reason, renewals, packed, _node, _seq = row
        if last_login == opened:
            last_login = opened
        if seen == last_login:
            seen = last_login
        grant = Grant(
            address, names.get(user) or names.setdefault(user, text(user)), bases[basis],
            opened, until, last_login, seen, spans.setdefault(span, span),
            names.get(agent) or names.setdefault(agent, text(agent)), text(reason), renewals,
        )  # fmt: skip
        found.append(Cell(grant, tuple(unpacked(packed, grant, words)) if packed else ()))
    return found


def pack(sessions: Sequence[OpenSession]) -> bytes:
    """A grant's open sessions as its row has them: the key and login of each, and where, if not where the last was."""
    rows: list[tuple[str | bytes | Instant, ...]] = []
    last: tuple[str, ...] = ()
    for session in sessions:
        key = session.key
        where = (key.source, key.host, key.service, session.agent)
        rows.append((key.session, session.at) if where == last else (key.session, session.at, *where))
        last = where
    try:
        return _encode(rows)
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return _encode([[raw(word) if isinstance(word, str) else word for word in row] for row in rows])


def unpacked(packed: bytes, grant: Grant, words: dict[str, str]) -> Iterator[OpenSession]:
    """The other way; equal words become one object, by way of `words`."""
    where: list[str] = []
    for session, at, *said in _decode(packed):
        if said:
            where = [words.setdefault(word, word) for word in map(_word, said)]
        source, host, service, agent = where
        yield OpenSession(SessionKey(source, host, service, _word(session)), grant.address, grant.user, agent, at)


def _word(packed: str | bytes) -> str:
    return packed if isinstance(packed, str) else text(packed)


def joined_row(joined: Joined) -> Row:
    return raw(joined.source), raw(joined.agent), raw(joined.host), raw(joined.service)


def joined(connection: sqlite3.Connection) -> list[Joined]:
    return [Joined(*map(text, row)) for row in JOINED.rows(connection)]


def revocation_row(order: Revocation, node: int, seq: int) -> Row:
    user = None if order.user is None else raw(order.user)
    return order.id, order.at, raw(order.by), order.address, user, raw(order.reason), order.deny_until, node, seq


def revocations(connection: sqlite3.Connection) -> list[Revocation]:
    return [
        Revocation(name, at, text(by), address, None if user is None else text(user), text(reason), deny_until)
        for name, at, by, address, user, reason, deny_until, _node, _seq in REVOCATIONS.rows(connection)
    ]


def crowds(connection: sqlite3.Connection) -> dict[Address, bytes]:
    return dict(CROWDS.rows(connection))


def ahead(connection: sqlite3.Connection) -> dict[bytes, Early]:
    return {login: Early(read, until) for login, read, until in AHEAD.rows(connection)}


def positions(connection: sqlite3.Connection) -> dict[str, bytes]:
    return {text(source): position for source, position in POSITIONS.rows(connection)}


def write(connection: sqlite3.Connection, statement: Callable[[int], str], rows: Sequence[Row]) -> None:
    """Carry out a statement for all rows, in this order; `statement(n)` is its text for n rows."""
    start = 0
    size = MOST
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        connection.execute(statement(size), list(chain.from_iterable(rows[start : start + size])))
        start += size


def values(width: int, count: int) -> str:
    """The `VALUES` of a statement for `count` rows of `width` columns."""
    return ", ".join([f"({', '.join('?' * width)})"] * count)


@cache
def _put(table: Table, count: int) -> str:
    columns = (*table.columns, "seal")
    news = ", ".join(f"{column} = excluded.{column}" for column in columns[table.key :])
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {values(len(columns), count)} "  # noqa: S608  # ours
        f"ON CONFLICT DO UPDATE SET {news}"
    )


@cache
def _drop(table: Table, column: str, count: int) -> str:
    # not `(key) IN (VALUES ...)`: for a key of several columns SQLite then reads the whole table
    one = " AND ".join([f"{name} = ?" for name in table.columns[: table.key]] + [f"{column} <= ?"] * bool(column))
    return f"DELETE FROM {table.name} WHERE {' OR '.join([f'({one})'] * count)}"  # noqa: S608  # ours
