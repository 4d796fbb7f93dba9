"""Whether a file is one that only root (or who we run as) can have written: what root's part may believe and run.

So must be every directory and link on the way to it: who may write in one of these can put another file in its place.
A directory in which all may write but each may remove only what is his own (`/tmp`) does no harm.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from poprelay.errors import NotPermitted

_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS: Final = 40


def check_trusted(path: Path) -> Path:
    """Where the path leads, if no other user can change what is there or where it leads.

    Raises NotPermitted, OSError.
    """
    done = Path("/")
    left = list(reversed(path.absolute().parts[1:]))
    links = 0
    _check(done, done.lstat(), last=not left)
    while left:
        part = left.pop()
        if part == "..":
            done = done.parent
            continue
        place = done / part
        status = place.lstat()
        _check(place, status, last=not left)
        if not stat.S_ISLNK(status.st_mode):
            done = place
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = place.readlink()
        left += reversed([each for each in target.parts if each != "/"])
        if target.is_absolute():
            done = Path("/")
    return done


def _check(place: Path, status: os.stat_result, *, last: bool) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise NotPermitted(f"{place} belongs to another user than root", remedy=f"chown root {place}")
    shared = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX and not last
    if status.st_mode & _OTHERS and not shared and not stat.S_ISLNK(status.st_mode):
        raise NotPermitted(f"others than root can write {place}", remedy=f"chmod go-w {place}")
