"""Replacing a file whole: whoever reads it sees the old content or the new, never a part, whatever moment we die at."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from poprelay.errors import MapError
from poprelay.ledger.files import sync_directory

NEW_FILE = 0o644

Identity: TypeAlias = tuple[int, int, int, int]


class ChangedMeanwhileError(Exception):
    """Somebody else changed the file after it was read; read it again."""


def temporary(name: str) -> str:
    """The hidden name, in the same directory, under which this process prepares the file `name`.

    It ends in a tilde, as a backup does: Courier's makedat reads every file of a directory, hidden ones too, but those.
    """
    return f".{name}.{os.getpid()}.new~"


def identity(status: os.stat_result) -> Identity:
    """What is another when somebody has replaced or changed the file or directory."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def look(path: Path) -> Identity | None:
    """The identity of what stands there now; None if that is missing."""
    try:
        return identity(path.stat())
    except FileNotFoundError:
        return None


def sweep(path: Path) -> None:
    """Remove what earlier processes left half prepared beside `path`."""
    leftover = re.compile(rf"\.{re.escape(path.name)}\.[0-9]+\.new~?(?:\.[a-z.]+)?")
    for name in os.listdir(path.parent):  # noqa: PTH208 - names are all that is wanted
        if leftover.fullmatch(name):
            with suppress(FileNotFoundError):
                (path.parent / name).unlink()


def create(path: Path, make: Callable[[Path], None]) -> None:
    """Have `make` make a new file. It appears under its name only when it is complete: an MTA may be waiting for it.

    If somebody else has just made one, that stays. Raises OSError.
    """
    fresh = path.with_name(temporary(path.name))
    sweep(path)
    try:
        make(fresh)
        fresh.chmod(NEW_FILE)
        descriptor = os.open(fresh, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink(missing_ok=True)
    sync_directory(path.parent)


def replace(path: Path, content: bytes, like: os.stat_result | None, *, age: float = 0.0) -> Identity:
    """Put `content` in the place of `path`, durably. Returns the identity of the new file, taken before it stood there.

    `like` is what the present file was when it was read: its owner, mode and extended attributes are kept as far as we
    may; None where there was none. The new file's time lies `age` seconds back. Raises ChangedMeanwhileError if the
    present file is no longer that one, MapError if the disk does not give back what was written, OSError.
    """
    fresh = path.with_name(temporary(path.name))
    with suppress(FileNotFoundError):
        fresh.unlink()
    try:
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, NEW_FILE)
        with os.fdopen(descriptor, "w+b") as file:
            file.write(content)
            file.flush()
            if like is None:
                os.fchmod(descriptor, NEW_FILE)
            else:
                _liken(path, fresh, like)
            written = time.time_ns() - int(age * 1e9)
            os.utime(descriptor, ns=(written, written))
            os.fsync(descriptor)
            file.seek(0)
            if file.read() != content:
                raise MapError(f"{fresh} does not read back as it was written", remedy="check the disk")
            ours = identity(os.fstat(descriptor))
        if look(path) != (None if like is None else identity(like)):
            raise ChangedMeanwhileError
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    sync_directory(path.parent)
    return ours


def _liken(path: Path, fresh: Path, like: os.stat_result) -> None:
    with suppress(PermissionError):  # only root gives files away; the group may still be ours to set
        os.chown(fresh, -1, like.st_gid)
        os.chown(fresh, like.st_uid, -1)
    try:
        shutil.copystat(path, fresh)
    except FileNotFoundError as error:
        raise ChangedMeanwhileError from error
