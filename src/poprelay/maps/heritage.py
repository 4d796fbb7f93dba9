"""What an older daemon has left in a spool: who logged in, from where, and when, so that a change of daemons cuts off
nobody.

A file counts if it is named by a canonical address, regular, root's or our own, and cannot be written by anybody else
(nor the directory, where he could put one). It holds the user's name; its modification time is the login. One from the
future counts as from now.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from poprelay.address import is_canonical
from poprelay.errors import MapError
from poprelay.model import Address, Instant, Login, Origin

AGENT: Final = "spool"
"""The agent of such logins."""

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
"""The bits of a mode that let others than the owner write."""
_LONGEST: Final = 1024


def logins(directory: int, name: str, now: Instant, *, was_open: bool = False) -> Sequence[Login]:
    """The logins that the open directory holds, by address.

    Raises OSError; MapError if others may write in it, or could until now (`was_open`).
    """
    if was_open or os.fstat(directory).st_mode & OTHERS:
        raise MapError(
            f"{name}: others than its owner could write in it, so what it holds may be forged",
            remedy="let each user log in once more",
        )
    origin = Origin(name, "")
    found: list[Login] = []
    for each in sorted(filter(is_canonical, os.listdir(directory))):
        with suppress(OSError):
            found += _login(directory, each, origin, now)
    return found


def _login(directory: int, name: str, origin: Origin, now: Instant) -> Iterator[Login]:
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        ours = status.st_uid in {0, os.geteuid()} and status.st_nlink == 1 and not status.st_mode & OTHERS
        if stat.S_ISREG(status.st_mode) and ours:
            content = os.read(descriptor, _LONGEST).decode("utf-8", "surrogateescape")
            user = content.split("\n", 1)[0].strip()
            yield Login(min(status.st_mtime, now), user, Address(name), "pop3", None, None, AGENT, origin)
    finally:
        os.close(descriptor)
