"""The ledger's files: how they are called, and that nobody but the daemon's user may read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
"""The mode of every file of the ledger: user names and addresses are personal."""


def beside(path: Path, suffix: str) -> Path:
    """The file that belongs to the ledger at `path` under a further suffix, like `ledger.db-wal`."""
    return path.with_name(path.name + suffix)


def create_private(path: Path) -> int:
    """Create a file with mode 0600 and return its descriptor; raises OSError, also if it exists.

    A file that root creates is given to the owner of the directory, so that a command which an administrator runs does
    not leave behind what the daemon's own user cannot open.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
