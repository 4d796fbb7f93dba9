"""The lock that keeps two daemons, or a daemon and a command that writes, from one ledger.

It is an advisory `flock(2)` on `<ledger>.lock`, which the kernel lets go however the process ends. The file is never
deleted: a lock on a deleted file would not be seen by the next who asks. The process number in it is only for people.
Symbolic links are followed first, so that one ledger has one lock by whatever name.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from poprelay.errors import AlreadyRunning, NotPermitted, StoreError
from poprelay.ledger.files import beside, create_private
from poprelay.model import Instant


class Lock:
    """One ledger, held by this process until `release`."""

    def __init__(self, descriptor: int, last_beat: Instant) -> None:
        self._descriptor = descriptor
        self.last_beat = last_beat
        """When the last one who held it last said `beat`; 1970 if nobody did."""

    def beat(self) -> None:
        """Leave word of now, for who asks or holds it next: the file's modification time."""
        with contextlib.suppress(OSError):
            os.utime(self._descriptor)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def acquire(path: Path) -> Lock:
    """Hold the ledger at `path`, without waiting.

    Raises AlreadyRunning if another process holds it, NotPermitted, and StoreError if the lock's file cannot be opened.
    """
    file = _beside(path)
    try:
        descriptor = _open(file)
    except PermissionError as error:
        raise NotPermitted(
            f"this user may not write the ledger {path}",
            remedy="run as root or as the user that it belongs to",
            path=str(file),
        ) from error
    except OSError as error:
        raise StoreError(
            f"cannot open {file}: {error.strerror}",
            remedy=f"the directory {path.parent} must exist and belong to the user that the daemon runs as",
            path=str(file),
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise StoreError(f"cannot lock {file}: {error.strerror}", path=str(file)) from error
        who = f"process {pid}" if pid.isdigit() else "another process"
        raise AlreadyRunning(
            f"{who} already works on the ledger {path}",
            remedy="ask it with `poprelay status`, or stop it first",
            pid=int(pid) if pid.isdigit() else None,
            path=str(path),
        ) from None
    status = os.fstat(descriptor)
    with contextlib.suppress(OSError):  # the number is only for people; a full disk must not keep the lock from us
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
    return Lock(descriptor, status.st_mtime)


def last_beat(path: Path) -> Instant:
    """When whoever holds the ledger at `path`, or held it last, last said `beat`; minus infinity if nobody ever did."""
    try:
        return _beside(path).stat().st_mtime
    except OSError:
        return -math.inf


def _beside(path: Path) -> Path:
    return beside(path.resolve(), ".lock")


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # another process was quicker
            descriptor = create_private(file)
            os.utime(descriptor, (0, 0))  # nobody has said `beat`
            return descriptor
        return os.open(file, os.O_RDWR | os.O_CLOEXEC)
