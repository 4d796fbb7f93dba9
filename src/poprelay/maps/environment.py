"""An LMDB file, opened as Postfix opens it, and changed in place under the lock that Postfix takes.

Postfix (dict_lmdb.c, slmdb.c) opens `PATH.lmdb` with MDB_NOSUBDIR and MDB_NOLOCK, keeps its records in the unnamed
database, and guards every lookup by fcntl(F_SETLKW, F_RDLCK) on the whole data file, every update by F_WRLCK. So do we.
LMDB's own lock file would interlock with nothing. The file must be of LMDB 0.9's format: Postfix, linked with 0.9,
calls one of 1.0 "not an LMDB file".

A POSIX lock belongs to the process and the file: it is dropped as soon as the process closes *any* descriptor of that
file. Therefore one environment for a file in a process, and the lock's descriptor is closed only with it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import lmdb
from lmdb import verify

from poprelay.errors import MapError
from poprelay.maps import atomic

T = TypeVar("T")

_FORMAT: Final = 0
"""LMDB's major version, whose file format is used."""
FIRST_SIZE = 16 << 20
"""Bytes of address space at first, Postfix's own default (lmdb_map_size); doubled as needed. The file is smaller."""
_RESERVE: Final = 64
"""Pages, and an eighth of all, that the file has to spare before anything is added. LMDB never overwrites what is
valid, so removing needs room too, and must be possible on a full disk."""
_PAUSE: Final = 0.0001
"""Seconds between two attempts to lock. The kernel lets new readers pass a waiting writer, so we must come often."""


class Environment:
    """One open LMDB file. Every method may raise lmdb.Error and OSError."""

    def __init__(self, path: Path, lock_wait: float) -> None:
        """Open `path`, created empty if it is missing. `lock_wait`: seconds to wait at most for another's lock."""
        self.path = path
        self._lock_wait = lock_wait
        if not path.exists():
            atomic.create(path, _make)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._size = 0
        """Bytes that the file had when we last looked; LMDB never shortens a file."""
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise MapError(f"{path} is not a regular file", remedy=_remedy(path))
            self._env = _open(path)
        except BaseException:
            os.close(self._descriptor)
            raise
        try:
            if not self.is_current():
                raise MapError(f"{path} was replaced while it was opened")
            self._require_whole()
            self.version = self._latest()
            """The number of the last transaction that we have seen; another's makes it higher."""
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._env.close()
        os.close(self._descriptor)

    def is_current(self) -> bool:
        """Whether the path still names the file that is open here. Where we may not look any more it goes on being
        kept, for what must not be allowed has to go."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        except PermissionError:
            return True
        here = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def disturbed(self) -> bool:
        """Whether another program has written since our last look."""
        self._require_length()
        return self._latest() != self.version

    def records(self) -> list[tuple[bytes, bytes]]:
        """Every record, at one moment."""

        def read() -> list[tuple[bytes, bytes]]:
            with self._env.begin() as transaction:
                return list(transaction.cursor())

        with self._locked(fcntl.LOCK_SH):
            self._require_length()
            found = self._with_room(read)
            self.version = self._latest()
            return found

    def update(self, removed: Sequence[tuple[bytes, bytes | None]], put: Sequence[tuple[bytes, bytes]]) -> bool:
        """In one durable transaction remove keys, each unless its value is the one beside it, then put records.

        Returns whether another program has written since our last look. Where the disk is too full to add anything,
        OSError; removing alone may still succeed.
        """

        def write() -> None:
            with self._env.begin(write=True) as transaction:
                for key, unless in removed:
                    if unless is None or transaction.get(key) != unless:
                        transaction.delete(key)
                for key, value in put:
                    transaction.put(key, value)

        with self._locked(fcntl.LOCK_EX):
            disturbed = self.disturbed()
            if put:
                self._reserve()
            self._with_room(write)
            self.version = self._latest()
            self._size = os.fstat(self._descriptor).st_size
            return disturbed

    def _reserve(self) -> None:
        """See to it that the disk has given us the room that removing may need."""
        page, used = self._env.stat()["psize"], self._env.info()["last_pgno"] + 1
        if used * page > 2 * self._size:  # LMDB need not write the last pages that it counts, but so many are noise
            raise MapError(f"{self.path} is damaged: it counts more pages than it has", remedy=_remedy(self.path))
        spare = _RESERVE + used // 8
        if self._size < (used + spare) * page:
            os.posix_fallocate(self._descriptor, 0, (used + 2 * spare) * page)

    def _latest(self) -> int:
        return int(self._env.info()["last_txnid"])

    def _with_room(self, work: Callable[[], T]) -> T:
        """Do `work` again with more address space as long as it does not suffice, for us or for another writer."""
        while True:
            try:
                return work()
            except lmdb.MapFullError:
                self._make_room(2 * self._env.info()["map_size"])
            except lmdb.MapResizedError:
                self._make_room(0)

    def _make_room(self, size: int) -> None:
        """So much address space, in bytes; 0: as much as the file says."""
        try:
            self._env.set_mapsize(size)
        except (lmdb.MemoryError, OverflowError) as error:
            raise MapError(
                f"{self.path} is damaged: it says that it is larger than any map", remedy=_remedy(self.path)
            ) from error

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold Postfix's lock. It reads for microseconds, so we ask again and again rather than hang in the kernel."""
        _lock(self._descriptor, kind, self.path, self._lock_wait)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def _require_length(self) -> None:
        """Touching a mapped page beyond the end of the file would kill the process (SIGBUS)."""
        size = os.fstat(self._descriptor).st_size
        if size < self._size:
            raise MapError(f"{self.path} was truncated", remedy=_remedy(self.path))
        self._size = size

    def _require_whole(self) -> None:
        """Refuse a file that was cut short.

        LMDB need not write the last pages that it counts, so a file that looks short is gone through page by page.
        """
        self._require_length()
        if self._size < (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]:
            with self._locked(fcntl.LOCK_SH):
                findings = verify.verify(str(self.path))  # type: ignore[no-untyped-call] # it has no stub
            if findings:
                raise MapError(f"{self.path} is damaged: {findings[0]}", remedy=_remedy(self.path))


def look_up(path: Path, key: bytes, lock_wait: float) -> bytes | None:
    """One record's value, as Postfix would look it up; None also where there is no file. Changes nothing.

    Not for a process that has an `Environment` for this file: its lock would be lost. Raises as its methods do.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        _lock(descriptor, fcntl.LOCK_SH, path, lock_wait)
        with _open(path, readonly=True) as environment:
            if os.fstat(descriptor).st_size < (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]:
                findings = verify.verify(str(path))  # type: ignore[no-untyped-call] # it has no stub
                if findings:
                    raise MapError(f"{path} is damaged: {findings[0]}", remedy=_remedy(path))
            with environment.begin() as transaction:
                found: bytes | None = transaction.get(key)
                return found
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int, path: Path, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.lockf(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            if time.monotonic() >= deadline:
                raise MapError(
                    f"{path} has been locked by another program for {wait:g} s",
                    remedy=f"see who holds it: fuser -v {path}",
                ) from error
        else:
            return
        time.sleep(_PAUSE)


def _open(path: Path, *, readonly: bool = False) -> lmdb.Environment:
    try:
        return lmdb.open(
            str(path),
            map_size=FIRST_SIZE,
            subdir=False,
            readonly=readonly,
            lock=False,
            max_dbs=0,
            mode=atomic.NEW_FILE,
            readahead=False,
            lib_version=_FORMAT,
        )
    except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError, lmdb.MapResizedError) as error:
        raise MapError(f"{path} is no LMDB 0.9 file, or a damaged one", remedy=_remedy(path)) from error


def _remedy(path: Path) -> str:
    return f"move {path} away; a new one is made at once"


def _make(fresh: Path) -> None:
    _open(fresh).close()
