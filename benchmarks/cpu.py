"""CPU time, and which core: what other work on the machine changes least."""

from __future__ import annotations

import os
import resource
from pathlib import Path


def spent() -> float:
    """Seconds, user and system, of this process and of those that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def spent_by(pid: int) -> float:
    """Seconds, user and system, of a process that runs."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory(pid: int | str = "self") -> tuple[float, float]:
    """MiB that a process holds, and those of them that it shares with nobody."""
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, _ = line.split()
        sizes[name] = int(size)
    return sizes["Rss:"] / 1024, (sizes["Private_Clean:"] + sizes["Private_Dirty:"]) / 1024


def first_core() -> int:
    return min(os.sched_getaffinity(0))


def last_core() -> int:
    """Another than the first, where there are two."""
    return max(os.sched_getaffinity(0))


def stay_on(core: int, pid: int = 0) -> None:
    os.sched_setaffinity(pid, {core})
