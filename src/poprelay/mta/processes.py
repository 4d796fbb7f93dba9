"""The programs that run on this host, as /proc tells (proc(5)): none where there is no /proc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")


class Process(NamedTuple):
    """One process: its number, its words, and when it began (seconds since the epoch)."""

    pid: int
    words: tuple[str, ...]
    began: float


def running(program: str) -> Iterator[Process]:
    """The processes whose first word is that program, by whatever path."""
    for folder in _PROC.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
            if Path(words[0]).name == program:
                yield Process(int(folder.name), tuple(words), _began(folder))
        except (OSError, ValueError):
            continue  # it has ended meanwhile


def _began(folder: Path) -> float:
    ticks = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
    boot = next(line for line in (_PROC / "stat").read_text().splitlines() if line.startswith("btime "))
    return float(boot.split()[1]) + ticks / 100  # USER_HZ, the same on every Linux
