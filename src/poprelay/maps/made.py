"""A database that a program makes from a text file: under another name, and put in its place when it is whole."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poprelay.errors import MapError
from poprelay.ledger.files import sync_directory
from poprelay.maps import atomic, command
from poprelay.maps.trouble import explained
from poprelay.maps.uptake import TIMEOUT

LOCK_WAIT: Final = 5.0
"""Seconds to wait for those who read."""


@dataclass(frozen=True, slots=True)
class Made:
    """Makes FILE with `suffix` from FILE, which `program` gets as its standard input.

    In its `arguments` stands `{}` for the name of the new database. `check` raises MapError where that is not whole.
    With `locked` it takes the place of the old one not by its name but within its file, under the lock of its readers.
    """

    program: str
    arguments: tuple[str, ...]
    suffix: str
    timeout: float = TIMEOUT
    check: Callable[[Path], None] | None = None
    locked: bool = False

    def database(self, file: Path) -> Path:
        return file.with_name(file.name + self.suffix)

    def __call__(self, file: Path) -> None:
        database = self.database(file)
        fresh = file.with_name(atomic.temporary(file.name) + self.suffix)
        with explained(f"{self.program} {database}", database):
            atomic.sweep(file)
            try:
                words = (argument.format(fresh) for argument in self.arguments)
                command.run((self.program, *words), timeout=self.timeout, stdin=file)
                if self.check is not None:
                    self.check(fresh)
                if self.locked and os.access(database, os.W_OK):  # else it is new, or root's
                    overwrite(database, fresh.read_bytes())
                else:
                    publish(fresh, database, like=file)
            finally:
                fresh.unlink(missing_ok=True)


def publish(fresh: Path, database: Path, *, like: Path) -> atomic.Identity:
    """Put a new database in its place, durably: with owner and mode of the one before, or of the file `like`.

    Returns its identity, taken before it stood there.
    """
    descriptor = os.open(fresh, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = (database if database.exists() else like).stat()
        with suppress(PermissionError):  # only root gives files away
            os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, status.st_mode & 0o777)
        os.fsync(descriptor)
        ours = atomic.identity(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    fresh.replace(database)
    sync_directory(database.parent)
    return ours


def overwrite(database: Path, content: bytes) -> None:
    """Write a database within its file, durably, while nobody has flock(2) on it.

    Its time is always another one, in whole seconds too: by that who has it open sees that it must open it anew.
    MapError if the lock cannot be had.
    """
    descriptor = os.open(database, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(descriptor, database)
        status = os.fstat(descriptor)
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
        os.utime(descriptor, (time.time(), max(time.time(), int(status.st_mtime) + 1)))
        os.fsync(descriptor)
        if os.pread(descriptor, len(content) + 1, 0) != content:
            raise MapError(f"{database} does not read back as it was written", remedy="check the disk")
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise MapError(
                    f"{path} has been locked by another program for {LOCK_WAIT:g} s",
                    remedy=f"see who holds it: fuser -v {path}",
                ) from error
            time.sleep(0.0001)
        else:
            return
