"""A database that a program makes from a text file: under another name, and renamed when it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from poprelay.maps import atomic, command
from poprelay.maps.trouble import explained
from poprelay.maps.uptake import TIMEOUT


@dataclass(frozen=True, slots=True)
class Made:
    """Makes FILE with `suffix` from FILE, which `program` gets as its standard input.

    In its `arguments` stands `{}` for the name of the new database. `check` raises MapError where that is not whole.
    """

    program: str
    arguments: tuple[str, ...]
    suffix: str
    timeout: float = TIMEOUT
    check: Callable[[Path], None] | None = None

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
                publish(fresh, database, like=file)
            finally:
                fresh.unlink(missing_ok=True)


def publish(fresh: Path, database: Path, *, like: Path) -> None:
    """Put a new database in its place, durably: with owner and mode of the one before, or of the file `like`."""
    descriptor = os.open(fresh, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = (database if database.exists() else like).stat()
        with suppress(PermissionError):  # only root gives files away
            os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, status.st_mode & 0o777)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(database)
    atomic.sync_directory(database.parent)
