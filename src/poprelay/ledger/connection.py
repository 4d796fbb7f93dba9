"""Connections to the ledger's file: one that writes, others that only read; and SQLite's errors said in our words.

Nothing here opens and closes the file but SQLite: closing it would drop the locks (fcntl) that SQLite holds on it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from poprelay.errors import NotPermitted, StoreDamaged, StoreError

PATIENCE: Final = 5.0
"""Seconds to wait for another process that is writing, before StoreError."""
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_SUSPECT: Final = {sqlite3.SQLITE_OK, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG}
"""Codes that only a damaged file gives where the statement is known to be right; OK: text that is no UTF-8."""
_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "it must be writable for the user that the daemon runs as",
    sqlite3.SQLITE_CANTOPEN: "the directory must exist and belong to the user that the daemon runs as",
    sqlite3.SQLITE_BUSY: "another program is writing to it: stop that",
    sqlite3.SQLITE_LOCKED: "another program is writing to it: stop that",
    sqlite3.SQLITE_IOERR: "the disk gave an error: look at the kernel's log",
}


@contextmanager
def reporting(path: Path, what: Literal["read", "written"]) -> Iterator[None]:
    """Turn SQLite's errors into StoreError or StoreDamaged.

    Errors that would be a bug of ours pass through; but while reading, a statement that does not fit the tables, or
    a text that is none, tells of damage.
    """
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except UnicodeDecodeError as error:  # SQLite's own message quotes the file
        raise StoreDamaged(f"the ledger {path} is damaged (it holds text that is none)", path=str(path)) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        name = getattr(error, "sqlite_errorname", "")
        if code in _DAMAGED or (what != "written" and code in _SUSPECT):
            raise StoreDamaged(f"the ledger {path} is damaged ({error})", path=str(path), code=name) from error
        if code in _REMEDIES:
            raise StoreError(
                f"the ledger {path} cannot be {what} ({error})", remedy=_REMEDIES[code], path=str(path), code=name
            ) from error
        raise


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes, durably at every commit; for one thread at a time. The file must exist."""
    connection = sqlite3.connect(
        _uri(path, "rw"), uri=True, timeout=PATIENCE, isolation_level=None,
        check_same_thread=False, cached_statements=256,
    )  # fmt: skip
    try:
        connection.execute(
            "PRAGMA page_size = 2048"
        )  # of a new file; measured: renewals cost a fifth less than with 4096
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32768")  # KiB
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten: it was personal
        connection.execute("PRAGMA temp_store = MEMORY")  # or a statement of many rows would fill a file in /var/tmp
        connection.execute("PRAGMA wal_autocheckpoint = 8000")  # pages
        connection.execute("PRAGMA journal_size_limit = 67108864")  # bytes to which an overgrown log shrinks again
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside whoever writes; never `immutable`, which would believe a file in change.

    Closing it never removes the write-ahead log. Raises StoreError if there is no ledger at `path`, and NotPermitted.
    """
    try:
        path.stat()
        allowed = os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
    except FileNotFoundError:
        raise StoreError(f"there is no ledger at {path}", remedy="the daemon makes it when it first runs") from None
    except PermissionError:
        allowed = False
    if not allowed:
        raise NotPermitted(
            f"this user may not read the ledger {path}", remedy="ask as root or as the user that the daemon runs as"
        )
    return sqlite3.connect(_uri(path, "ro"), uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """`connect_to_read` for the length of a `with`; raises what `reporting` says."""
    with reporting(path, "read"), closing(connect_to_read(path)) as connection:
        yield connection


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path.resolve()))}?mode={mode}"
