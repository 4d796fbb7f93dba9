"""An SQLite database that Postfix and OpenSMTPD ask, changed in place: seen at the next question, in open sessions too.

    dbpath = /var/lib/poprelay/relay.sqlite                     Postfix: sqlite:/etc/postfix/relay.cf
    query = SELECT value FROM relay WHERE address = '%s'

    dbpath /var/lib/poprelay/relay.sqlite                       OpenSMTPD: table poprelay sqlite:/etc/mail/relay.conf
    query_netaddr SELECT address FROM relay WHERE address = trim(replace(?, 'IPv6:', ''), '[]')

A reader must never wait nor be turned away: Postfix takes `database is locked` for a reason to die, and rests for a
minute. So the database keeps a write-ahead log, beside which no change disturbs a reader; and that log and its index
(`-wal`, `-shm`) stay when we leave, since a reader who may not write could not make them. A chrooted smtpd does not see
them: there it is `proxy:sqlite:/etc/postfix/relay.cf`, with that name in `proxy_read_maps`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

from poprelay.address import is_canonical
from poprelay.errors import MapError
from poprelay.maps import Entry, atomic
from poprelay.maps.access import read_value
from poprelay.maps.keys import checked, foreign, foreign_record
from poprelay.maps.trouble import explained
from poprelay.model import Address

if TYPE_CHECKING:
    from poprelay.config.section import Section

LOCK_WAIT: Final = 5.0
"""Seconds to wait for another writer."""
_TABLE: Final = "CREATE TABLE relay (address TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID"
_BESIDE: Final = ("-wal", "-shm")


class SqliteMap:
    """The addresses in the table `relay`, each with the same value."""

    expresses_networks: ClassVar[bool] = False
    wants_renewals: ClassVar[bool] = False
    interval: float = 0.0

    def __init__(self, path: Path, value: str = "OK") -> None:
        self.path = path
        self.name = f"sqlite {path}"
        self._value = value
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version = 0
        """SQLite's `data_version` when we last looked: another connection's change makes it another."""

    @classmethod
    def from_section(cls, section: Section) -> Self:
        return cls(section.file("path"), read_value(section))

    def keys(self) -> set[str]:
        """Every address whose record is ours; any other record is reported as foreign."""
        with self._explained():
            connection = self._current()
            self._version = _version(connection)
            rows = connection.execute("SELECT CAST(address AS BLOB), value FROM relay")
            return {self._key(record, value) for record, value in rows}

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        """Change the database in one durable transaction.

        MapError also where the file had been replaced, or changed by another program: the change is published then, and
        the map should be compared with the ledger again.
        """
        put = [(checked(entry.address), self._value) for entry in added]
        plain = [(checked(key),) for key in removed if foreign_record(key) is None]
        odd = [(record, self._value) for key in removed if (record := foreign_record(key)) is not None]
        with self._explained():
            replaced = self._connection is not None and not self._is_current()
            connection = self._current()
            with _transaction(connection):
                found = _version(connection)  # our own change leaves it as it is
                changed = found != self._version
                connection.executemany("DELETE FROM relay WHERE address = ?", plain)
                for record, value in odd:  # unless it has become ours meanwhile
                    unless = " AND value IS NOT ?" if _is_ours(record) else ""
                    connection.execute(
                        f"DELETE FROM relay WHERE CAST(address AS BLOB) = ?{unless}",  # noqa: S608 - two fixed texts
                        (record, value) if unless else (record,),
                    )
                connection.executemany("INSERT OR REPLACE INTO relay VALUES (?, ?)", put)
            self._version = found
        if replaced or changed:
            how = "the file was replaced" if replaced else "another program changed it"
            raise MapError(f"{self.name}: {how}", remedy="it is compared with the ledger again")

    def disturbed(self) -> bool:
        with self._explained():
            connection = self._connection
            return connection is not None and (not self._is_current() or _version(connection) != self._version)

    def holds(self, address: Address) -> bool:
        with self._explained():
            if not self.path.exists():
                return False
            connection = _connect(self.path, "ro")
            try:
                found = connection.execute("SELECT value FROM relay WHERE address = ?", (address,)).fetchone()
            finally:
                connection.close()
            return found is not None and found[0] == self._value

    def close(self) -> None:
        """Let go of it. A reader of ours leaves last, because it cannot remove what other readers need."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error), closing(_connect(self.path, "ro")) as reader:
                reader.execute("SELECT 1 FROM relay").fetchone()
                connection.close()
            connection.close()

    def _current(self) -> sqlite3.Connection:
        """The connection to the file that the path names; it is made if there is none."""
        if self._connection is not None and self._is_current():
            return self._connection
        stale, self._connection = self._connection, None
        if stale is not None:
            stale.close()
        if not self.path.exists():
            for suffix in _BESIDE:  # of another database: it would be taken for this one's
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            atomic.create(self.path, _make)
        self._file = _identity(self.path)
        self._connection = _connect(self.path, "rw")
        self._connection.execute("PRAGMA synchronous = FULL")
        if self._connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise MapError(f"{self.name}: it cannot keep a write-ahead log", remedy="put it on a local file system")
        with _transaction(self._connection):  # a first one makes the log and its index
            pass
        self._version = _version(self._connection)
        return self._connection

    def _is_current(self) -> bool:
        try:
            return _identity(self.path) == self._file
        except FileNotFoundError:
            return False

    def _key(self, record: bytes, value: object) -> str:
        return record.decode() if _is_ours(record) and value == self._value else foreign(record)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors as MapError; after one, the file is opened anew."""
        try:
            with explained(self.name, self.path):
                yield
        except sqlite3.Error as error:
            self.close()
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            remedy = f"move {self.path} away; a new one is made at once"
            if not damaged and "no such" not in str(error):
                remedy = f"see who else writes in {self.path}, and if its disk is full"
            raise MapError(f"{self.name}: {error}", remedy=remedy) from error


def _is_ours(record: bytes) -> bool:
    return is_canonical(record.decode("utf-8", "surrogateescape"))


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    where = f"{path.as_uri()}?mode={mode}"
    return sqlite3.connect(where, uri=True, timeout=LOCK_WAIT, isolation_level=None, check_same_thread=False)


def _make(fresh: Path) -> None:
    connection = _connect(fresh, "rwc")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_TABLE)
    finally:
        connection.close()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
