"""The tables of the ledger's file, and how those of an older version become today's.

What a log or a person wrote is kept as bytes (BLOB), for it may be no valid UTF-8; addresses and our own words are
TEXT. Times have no declared type, so that SQLite gives back exactly the number that it was given: the seal covers it.
`node` is the ledger that made the change (random, made with the file), `seq` counts that node's changes and never goes
back.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import Any, Final

from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger.damage import seal
from poprelay.ledger.tables import META, SEALED
from poprelay.model import Instant

APPLICATION: Final = 0x706F7072
"""SQLite's `application_id`, 'popr': says whose file it is."""

_SAID: Final = {"version", "node", "seq", "lost_at", "open", "unchecked"}

MIGRATIONS: Final[list[tuple[str, ...]]] = [
    (
        """CREATE TABLE meta (
            key TEXT PRIMARY KEY, value, seal INTEGER NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE grants (
            address TEXT NOT NULL, user BLOB NOT NULL, basis TEXT NOT NULL, opened NOT NULL, until NOT NULL,
            last_login NOT NULL, seen NOT NULL, span NOT NULL, agent BLOB NOT NULL, reason BLOB NOT NULL,
            renewals INTEGER NOT NULL, node INTEGER NOT NULL, seq INTEGER NOT NULL, seal INTEGER NOT NULL,
            PRIMARY KEY (address, user, basis)) WITHOUT ROWID""",
        """CREATE TABLE sessions (
            source BLOB NOT NULL, host BLOB NOT NULL, service BLOB NOT NULL, session BLOB NOT NULL,
            address TEXT NOT NULL, user BLOB NOT NULL, agent BLOB NOT NULL, at NOT NULL, seal INTEGER NOT NULL,
            PRIMARY KEY (source, host, service, session)) WITHOUT ROWID""",
        """CREATE TABLE joined (
            source BLOB NOT NULL, agent BLOB NOT NULL, host BLOB NOT NULL, service BLOB NOT NULL,
            seal INTEGER NOT NULL, PRIMARY KEY (source, agent, host, service)) WITHOUT ROWID""",
        """CREATE TABLE revocations (
            id TEXT PRIMARY KEY, at NOT NULL, by BLOB NOT NULL, address TEXT, user BLOB, reason BLOB NOT NULL,
            deny_until, node INTEGER NOT NULL, seq INTEGER NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE crowds (
            address TEXT PRIMARY KEY, crowd BLOB NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE positions (
            source BLOB PRIMARY KEY, position BLOB NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE history (
            id INTEGER PRIMARY KEY, at NOT NULL, change TEXT NOT NULL, address TEXT NOT NULL, user BLOB NOT NULL,
            basis TEXT NOT NULL, opened, until, agent BLOB NOT NULL, reason BLOB NOT NULL, first_at,
            count INTEGER NOT NULL, node INTEGER NOT NULL, seq INTEGER NOT NULL)""",
        "CREATE INDEX history_at ON history (at)",
        """CREATE UNIQUE INDEX history_refused ON history (address, user, reason, first_at)
            WHERE change = 'refused'""",
    ),
    (
        """CREATE TABLE ahead (
            login BLOB PRIMARY KEY, read NOT NULL, until NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID""",
    ),
    (  # sessions that are open at this moment are forgotten: they hold their grants no longer than a period
        "DROP TABLE sessions",
        "ALTER TABLE grants ADD COLUMN sessions BLOB NOT NULL DEFAULT x''",
        # a row that is damaged stays so
        """UPDATE grants SET seal = seal(address, user, basis, opened, until, last_login, seen, span, agent, reason,
            renewals, sessions, node, seq)
            WHERE seal = seal(address, user, basis, opened, until, last_login, seen, span, agent, reason,
            renewals, node, seq)""",
    ),
    (
        """CREATE TABLE bundles (
            seq INTEGER PRIMARY KEY, node INTEGER NOT NULL, grants BLOB NOT NULL, seal INTEGER NOT NULL)""",
    ),
]
"""What takes a file from each version to the next; version 0 is an empty file. Never changed, only added to."""

_LATER: Final = ((2, "ahead"), (4, "bundles"))
"""Tables that the first version did not have, and the version that brought them."""


def version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the file's tables, 0 if it is empty. Raises StoreError if it is not ours to read or write."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables and pages <= 1 and not found and not application:
        return 0
    ours = {"meta", "grants", "positions"} <= tables
    if application != APPLICATION and tables and not ours:
        raise StoreError(f"{path} is a database of another program", remedy="choose another path in [ledger]")
    said = read_meta(connection).get("version") if ours else None
    if application != APPLICATION or said != found:
        raise StoreDamaged(f"the ledger {path} is damaged: it does not say rightly what it is", path=str(path))
    if found > len(MIGRATIONS):
        raise StoreError(
            f"the ledger {path} was written by a newer poprelay (tables of version {found}, known: {len(MIGRATIONS)})",
            remedy="install that version again, or choose another path in [ledger]",
        )
    return int(found)


def migrate(connection: sqlite3.Connection, lost_at: Instant | None) -> None:
    """Bring the tables to today's version, making them if there are none; all or nothing.

    `lost_at` is for a new file: when an older one that was damaged was set aside, if one was.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == len(MIGRATIONS):
        return
    connection.create_function("seal", -1, lambda *row: seal(row))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[found:]:
            for statement in step:
                connection.execute(statement)
        if not found:
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            write_meta(connection, node=secrets.randbits(63), seq=0, lost_at=lost_at, open=0, unchecked=0)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        write_meta(connection, version=len(MIGRATIONS))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def read_meta(connection: sqlite3.Connection) -> dict[str, Any]:
    """What the file says of itself.

    `version` of the tables; `node` and its last `seq`; `lost_at`, if it was begun after damage; `open`, if nobody has
    closed it; `unchecked`, if somebody once did not, and it was not read as a whole since; `bundles`, the sum of their
    numbers, once there could be some.
    """
    values: dict[str, Any] = dict(META.rows(connection))
    if not _SAID.issubset(values):
        raise StoreDamaged("the ledger does not say what it is")
    return values


def write_meta(connection: sqlite3.Connection, **values: float | None) -> None:
    META.put(connection, list(values.items()))


def quick_check(connection: sqlite3.Connection, path: Path, found: int) -> None:
    """Check the pages of every table of version `found`: 0.2 s for a million grants. Raises StoreDamaged.

    The history decides nothing, but where it is broken, no commit that adds to it succeeds any more.
    """
    names = {table.name for table in SEALED} - {name for since, name in _LATER if found < since}
    for table in sorted(names | {"history"}):
        problems = [str(problem) for (problem,) in connection.execute(f"PRAGMA quick_check({table})")]
        if problems != ["ok"]:
            raise StoreDamaged(f"the ledger {path} is damaged: {'; '.join(problems[:5])}", path=str(path))
