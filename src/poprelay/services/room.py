"""Room for connections: each takes a file descriptor, of which a process may have only so many open.

What the daemon itself opens (logs, maps, the ledger) must always find one, so services turn peers away before that.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

MOST: Final = 65_536
"""What we ask of the system; 1024 is what a process has of itself."""
KEPT: Final = 512
"""Descriptors that no peer gets, where there are many; of a few, a quarter."""


def widen() -> None:
    """Let this process open as many as it may (getrlimit(2): up to the hard limit)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_full(descriptor: int) -> bool:
    """Whether a peer that was given this descriptor is one too many: the system gives the lowest that is free."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft != resource.RLIM_INFINITY and descriptor >= soft - min(KEPT, soft // 4)
