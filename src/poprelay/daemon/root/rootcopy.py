"""Copying what an unprivileged user has written to where root's programs read it, without being led elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from poprelay.daemon.root.trust import check_trusted
from poprelay.errors import MapError, NotPermitted
from poprelay.maps import atomic


def copy_files(sources: tuple[Path, ...], to: Path, limit: int, owner: int) -> None:
    """Put the sources one after the other into `to`, which is replaced as a whole; its owner and mode are kept.

    A source is a regular file with one name and at most `limit` bytes, no link; it belongs to the user `owner`, or only
    root can have put it there. Raises NotPermitted where that is not so, MapError, OSError.
    """
    content = b""
    for source in sources:
        part = read_safely(source, limit, owner)
        content += part if not part or part.endswith(b"\n") else part + b"\n"
    check_trusted(to.parent)
    try:
        like = to.lstat()
    except FileNotFoundError:
        like = None
    if like is not None and not stat.S_ISREG(like.st_mode):
        raise MapError(f"{to} is not a regular file", remedy="move it away")
    try:
        atomic.replace(to, content, like)
    except atomic.ChangedMeanwhileError:
        raise MapError(f"{to} was changed by another program", remedy="find out which, and stop it") from None


def read_safely(path: Path, limit: int, owner: int) -> bytes:
    """What a source holds. Raises as `copy_files` does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise NotPermitted(f"{path} is not a regular file with one name")
        if status.st_uid != owner:
            real = check_trusted(path)
            if not os.path.samestat(real.stat(), status):
                raise NotPermitted(f"{path} was changed in that moment")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise NotPermitted(f"{path} is longer than {limit} bytes", remedy="raise `limit`, if that is right")
    return content
