"""The ledger made durable: one SQLite file, one transaction for all that belongs together.

WAL and `synchronous = FULL`: what `commit` has returned for survives `kill -9` and power failure, and what it has not
returned for is there as a whole or not at all. Whoever opens it must hold the ledger's lock (`poprelay.ledger.lock`).
"""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger import bundles, history, schema, tables
from poprelay.ledger.connection import connect, connect_to_read, reading, reporting
from poprelay.ledger.damage import last_set_aside, set_aside
from poprelay.ledger.files import create_private, sync_directory
from poprelay.ledger.record import Cell, Record, Snapshot
from poprelay.ledger.witness import SUFFIX, Witness, last_witnessed
from poprelay.model import Instant


class SqliteStore:
    """A ledger's file, open for writing. Blocks; used by one thread at a time."""

    lost_at: Instant | None
    """When a damaged ledger was set aside and this one begun in its place. Its revocations are lost, so a source that
    has no position here must begin at its end, or a revoked spammer would come back."""
    unchecked: bool
    """Whether the file was once not closed properly, and not read as a whole since (`damage.check_whole`)."""

    def __init__(self, path: Path, refused_since: Instant = -math.inf) -> None:
        """Open the file, or make it; its directory must exist. Reads and checks all that decides who may relay, and of
        the history the refusals that went on after `refused_since`.

        Raises StoreDamaged if it cannot be believed (`open_or_set_aside` deals with that), and StoreError.
        """
        self.path = path = path.resolve()
        self._refused_since = refused_since
        witnessed = last_witnessed(path)
        if not witnessed:
            _create(path)
        elif not path.exists():
            raise StoreDamaged(f"the ledger {path} is gone", path=str(path))
        self._closed = False
        with closing(connect_to_read(path)) as look:  # closed after the other if that fails, so that the log stays
            with reporting(path, "read"):
                found = _believed(look, path, witnessed)
            with reporting(path, "written"):
                self._connection = connect(path)
            try:
                with reporting(path, "written"):
                    schema.migrate(self._connection, None if found else last_set_aside(path))
                with reporting(path, "read"):
                    meta = schema.read_meta(look)
                    cells, bundled = bundles.read(look, meta.get("bundles"))
                    self._ready: Snapshot | None = _snapshot(look, refused_since, cells)
            except BaseException:
                self._connection.close()
                raise
        self._node: int = meta["node"]
        self._seq: int = meta["seq"]
        self._open = bool(meta["open"])  # whether the file says that it is
        self.lost_at = meta["lost_at"]
        self.unchecked = bool(meta["unchecked"] or meta["open"])
        self._grants = bundles.Bundles(self._connection, self._node, self._next, bundled)
        self._witness = Witness(path)

    def load(self) -> Snapshot:
        """Everything that was committed; of the refusals those that went on after `refused_since`.

        What the opening has read is given once; later calls read, and raise StoreDamaged and StoreError.
        """
        with reporting(self.path, "read"):
            if self._ready is None:
                return _snapshot(self._connection, self._refused_since)
            snapshot, self._ready = self._ready, None
            return snapshot

    def commit(self, records: Sequence[Record]) -> None:
        """Write the records in this order, all or none; they are durable when it returns.

        Raises StoreError; a later call may succeed again, but for StoreDamaged.
        """
        self._ready = None
        with self._transaction():
            for record in records:
                self._write(record)
            self._next()
            self._note()
        self._open = True
        self._witness.write(self._node, self._seq)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing. Raises StoreError, and StoreDamaged."""
        seq = self._seq
        try:
            with reporting(self.path, "written"):
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
                self._grants.kept()
        except BaseException as error:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self._seq = seq
            self._grants.undo()
            if isinstance(error, StoreDamaged):
                self.condemn()
            raise

    def _write(self, record: Record) -> None:
        to = self._connection
        self._grants.drop(record.gone)
        self._grants.put(record.grants)
        tables.JOINED.put(to, [tables.joined_row(joined) for joined in record.joined])
        orders = [tables.revocation_row(order, self._node, self._next()) for order in record.revocations]
        tables.REVOCATIONS.put(to, orders)
        tables.REVOCATIONS.drop(to, [(name,) for name in record.revocations_gone])
        history.append(to, record.history, self._node, self._next)
        history.put_refusals(to, record.refusals, self._node, self._next)
        tables.CROWDS.drop(to, [(address,) for address, crowd in record.crowds.items() if not crowd])
        tables.CROWDS.put(to, [(address, crowd) for address, crowd in record.crowds.items() if crowd])
        tables.AHEAD.drop(to, [(login,) for login, early in record.ahead.items() if early is None])
        early = [(login, early.read, early.until) for login, early in record.ahead.items() if early is not None]
        tables.AHEAD.put(to, early)
        tables.POSITIONS.put(to, [(tables.raw(name), position) for name, position in record.positions.items()])

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def unpack_old(self) -> bool:
        """Give the grants of some old bundles their places; False if none was left. Raises StoreError.

        Old are those that were there when none was left before. Nothing of what is kept changes by it.
        """
        return self._unpack(self._grants.unpack_old)

    def _unpack(self, some: Callable[[], bool]) -> bool:
        with self._transaction():
            if unpacked := some():
                self._note()
        self._open |= unpacked
        return unpacked

    def _note(self) -> None:
        """Say in the file what it is after what was done to it."""
        said = {"seq": self._seq, "open": 1, "unchecked": int(self.unchecked), "bundles": self._grants.total}
        schema.write_meta(self._connection, **said)

    def prune(self, before: Instant, most: int, step: int = 500) -> int:
        """Forget up to `step` rows of history that are older than `before`, or beyond the `most` newest.

        Returns how many were forgotten; 0 says that nothing is left to do. Raises StoreError.
        """
        with reporting(self.path, "written"):
            return history.prune(self._connection, before, most, step)

    def condemn(self) -> None:
        """The file turned out to be damaged: whatever it looks like, let it be set aside when it is opened next."""
        self._witness.condemn(self._node)

    def checked(self) -> None:
        """Remember that the whole file was found good."""
        with reporting(self.path, "written"):
            schema.write_meta(self._connection, unchecked=0)
        self.unchecked = False

    def close(self) -> None:
        """Say in the file that it was closed, and close it; a second call does nothing. Raises StoreError.

        Every grant gets its place before, or what is forgotten would stay in bundles until a daemon runs again.
        """
        if self._closed:
            return
        self._closed = True
        with suppress(StoreError):  # it can also be done later; and what is damaged is condemned by now
            while self._open and self._unpack(self._grants.unpack):
                pass
        self._witness.close()
        with reporting(self.path, "written"):
            try:
                if self._open:
                    schema.write_meta(self._connection, open=0, unchecked=int(self.unchecked))
            finally:
                self._connection.close()


def open_or_set_aside(path: Path, now: Instant, refused_since: Instant = -math.inf) -> tuple[SqliteStore, Path | None]:
    """Open the ledger; a damaged one is set aside under the name that is returned, and an empty one begun.

    The caller says so, and lets sources without a position begin at their end: see `SqliteStore.lost_at`.
    """
    try:
        return SqliteStore(path, refused_since), None
    except StoreDamaged:
        aside = set_aside(path.resolve(), now)
        return SqliteStore(path, refused_since), aside


def read_snapshot(path: Path, refused_since: Instant = math.inf) -> Snapshot:
    """What the ledger holds now, for a command that finds no daemon, or beside one; nothing is written.

    Raises StoreError if there is none, StoreDamaged if it cannot be believed, NotPermitted.
    """
    path = path.resolve()
    witnessed = last_witnessed(path)  # before the reading, for the writer goes on
    with reading(path) as connection:
        connection.execute("BEGIN")
        if _believed(connection, path, witnessed) < len(schema.MIGRATIONS):
            raise StoreError(f"the ledger {path} is older than this program", remedy="start the daemon once")
        return _snapshot(connection, refused_since)


def _snapshot(connection: sqlite3.Connection, refused_since: Instant, cells: list[Cell] | None = None) -> Snapshot:
    """All that is kept; `cells` are the grants, if they were read already."""
    if cells is None:
        cells, _ = bundles.read(connection, schema.read_meta(connection).get("bundles"))
    return Snapshot(
        grants=cells,
        joined=tables.joined(connection),
        revocations=tables.revocations(connection),
        crowds=tables.crowds(connection),
        ahead=tables.ahead(connection),
        positions=tables.positions(connection),
        refusals=history.refusals(connection, refused_since),
    )


def _believed(connection: sqlite3.Connection, path: Path, witnessed: tuple[int, int] | None) -> int:
    """The version of the tables, 0 if there are none. Raises StoreDamaged if it is broken, or has lost changes."""
    found = schema.version(connection, path)
    if found:
        schema.quick_check(connection, path, found)
    meta = schema.read_meta(connection) if found else {}
    if witnessed and (not found or (meta["node"] == witnessed[0] and meta["seq"] < witnessed[1])):
        raise StoreDamaged(
            f"the ledger {path} is damaged: its last changes are missing, or it was found broken",
            remedy="the next start sets it aside and begins empty; "
            f"a restored copy needs its own {path.name}{SUFFIX} beside it",
            path=str(path),
        )
    return found


def _create(path: Path) -> None:
    """Make sure that there is a file, which only we may read."""
    try:
        if not path.exists():
            os.close(create_private(path))
            sync_directory(path.parent)
    except OSError as error:
        raise StoreError(
            f"the ledger {path} cannot be made: {error.strerror}",
            remedy=f"the directory {path.parent} must exist and belong to the user that the daemon runs as",
            path=str(path),
        ) from error
