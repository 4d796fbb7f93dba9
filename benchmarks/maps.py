"""What one change of a map costs, by the number of addresses that it holds.

    .venv/bin/python benchmarks/maps.py

A change is one address added, published and durable, as the daemon does it. `lmdb` must cost the same however many
addresses there are; `text` rewrites its file. `Mail::POPRelay` is the original's way, done here by an equivalent loop:
write the relay file from the start, then run Debian's real makemap on it. Beside them stands one fsync of the same
disk, without which the numbers say little.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from poprelay.maps import Entry
from poprelay.maps.lmdb import LmdbMap
from poprelay.maps.text import TextMap
from poprelay.model import Address
from report import Topic


class Changing(Protocol):
    """As much of a map as is measured."""

    def keys(self) -> set[str]: ...

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None: ...

    def close(self) -> None: ...


class Original:
    """What Mail::POPRelay does at each login: the whole relay file, then `makemap hash %r < %r`."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "access"
        self._addresses: list[str] = []
        packages = LIVE / "sendmail"
        libraries = {str(found.parent) for found in packages.glob("usr/lib/**/*.so*")}
        self._env = {"LD_LIBRARY_PATH": ":".join(sorted(libraries))}
        self._command = [str(packages / "usr/libexec/sendmail/makemap"), "-C", "/dev/null", "hash", str(self._file)]

    def keys(self) -> set[str]:
        return set()

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        self._addresses += [entry.address for entry in added]
        self._file.write_text("".join(f"{address} RELAY\n" for address in self._addresses if address not in removed))
        with self._file.open("rb") as relay:
            subprocess.run(self._command, stdin=relay, env=self._env, capture_output=True, check=True)

    def close(self) -> None:
        pass


LIVE = Path(__file__).resolve().parents[1] / ".live"
SIZES = (100, 10_000, 100_000)
KINDS: dict[str, Callable[[Path], Changing]] = {
    "lmdb": lambda directory: LmdbMap(directory / "relay.lmdb"),
    "text": lambda directory: TextMap(directory / "relay"),
    "Mail::POPRelay": Original,
}
FLAT = 3.0
"""How much more an lmdb change may cost at the largest size than at the smallest."""


def entry(number: int) -> Entry:
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return Entry(Address(address), ("ann",), 1_700_000_000.0, 1_700_001_800.0)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def costs_by_size(make: Callable[[Path], Changing], directory: Path) -> dict[int, float]:
    """Seconds for one change, for each size. The sizes take turns, so that a slow spell of the disk meets all alike."""
    targets: dict[int, Changing] = {}
    for size in SIZES:
        (directory / str(size)).mkdir(parents=True)
        targets[size] = make(directory / str(size))
        targets[size].keys()
        targets[size].change([entry(number) for number in range(size)], [])
    spans: dict[int, list[float]] = {size: [] for size in SIZES}
    ends = time.monotonic() + 4
    turn = 0
    while turn < 5 or (turn < 300 and time.monotonic() < ends):
        for size, target in targets.items():
            spans[size].append(timed(lambda: target.change([entry(size + turn)], [])))  # noqa: B023 - called at once
        turn += 1
    for target in targets.values():
        target.close()
    return {size: statistics.median(found) for size, found in spans.items()}


def fsync(directory: Path) -> float:
    """Seconds for one write and fsync of 4 KiB."""
    with (directory / "fsync").open("wb") as file:

        def write() -> None:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())

        return statistics.median(timed(write) for _ in range(200))


def main() -> int:
    found: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        disk = fsync(Path(place))
        for kind, make in KINDS.items():
            found[kind] = costs_by_size(make, Path(place) / kind)
    topic = Topic(
        "maps",
        "One login with many addresses allowed",
        "One address more, published and durable, by the number of addresses that the map holds already. "
        "*Mail::POPRelay* is its own way, by an equivalent loop: write the relay file anew, run the real makemap.",
    )
    for kind, costs in found.items():
        for size, seconds in costs.items():
            topic.add(f"{kind}, {size:,} addresses", seconds * 1000, "ms")
    for size in SIZES:
        topic.add(f"Mail::POPRelay / lmdb, {size:,}", found["Mail::POPRelay"][size] / found["lmdb"][size], "times")
    growth = found["lmdb"][SIZES[-1]] / found["lmdb"][SIZES[0]]
    topic.add(f"lmdb, {SIZES[-1]:,} / {SIZES[0]:,}", growth, "times", at_most=FLAT)
    topic.add("fsync of 4 KiB on this disk", disk * 1000, "ms")
    topic.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
