"""Noticing that the ledger's file cannot be believed, and setting it aside.

SQLite notices a page that makes no sense, but it has no checksum of what pages hold, and a flipped bit in an address
would let a stranger relay. So every row that decides who may relay carries a seal. A bundle that is missing is noticed
by the sum of their numbers (`poprelay.ledger.bundles`), and what is missing altogether by `poprelay.ledger.witness`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger import witness
from poprelay.ledger.connection import reading
from poprelay.ledger.files import beside, sync_directory
from poprelay.model import Instant

SUFFIXES: Final = ("", "-wal", "-shm", witness.SUFFIX)
"""The database, its write-ahead log, the log's index in shared memory, and the witness."""
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_encode = msgspec.msgpack.Encoder().encode


def seal(row: Iterable[Any]) -> int:
    """The checksum that a row carries as its last column, over all others. It finds damage, not forgery.

    >>> seal(("192.0.2.7", b"ann", "login", 1800.0)) == seal(("192.0.2.6", b"ann", "login", 1800.0))
    False
    """
    return zlib.crc32(_encode(row))


def check_whole(path: Path) -> None:
    """Read the whole file and check it; for a thread, beside the writer, after an unclean stop.

    Raises StoreDamaged with what is wrong, and StoreError if the file cannot be read.
    """
    with reading(path) as connection:
        problems = [str(problem) for (problem,) in connection.execute("PRAGMA integrity_check(20)")]
    if problems != ["ok"]:
        raise StoreDamaged(f"the ledger {path} is damaged: {'; '.join(problems)}", path=str(path))


def set_aside(path: Path, now: Instant) -> Path:
    """Rename the ledger's files to `<ledger>.damaged-<UTC stamp>` and so on, and return that name."""
    stamp = datetime.fromtimestamp(now, UTC).strftime(_STAMP)
    aside = beside(path, f".damaged-{stamp}")
    number = 1
    while any(beside(aside, suffix).exists() for suffix in SUFFIXES):
        number += 1
        aside = beside(path, f".damaged-{stamp}.{number}")
    try:
        for suffix in SUFFIXES:
            file = beside(path, suffix)
            if file.exists():
                file.rename(beside(aside, suffix))
        sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"the damaged {path} cannot be set aside: {error.strerror}", path=str(path)) from error
    return aside


def last_set_aside(path: Path) -> Instant | None:
    """When the newest damaged ledger that lies beside `path` was set aside; None if there is none."""
    prefix = f"{path.name}.damaged-"
    stamps = []
    for file in path.parent.iterdir():
        if file.name.startswith(prefix):
            try:
                stamp = datetime.strptime(file.name[len(prefix) :][:16], _STAMP).replace(tzinfo=UTC)
            except ValueError:
                continue
            stamps.append(stamp.timestamp())
    return max(stamps, default=None)
