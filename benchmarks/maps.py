"""What one grant costs each kind of map, by the number of addresses that it holds, beside the MTA's own tool.

    .venv/bin/python benchmarks/maps.py

A grant is one address added, published and durable, as the daemon does it. Beside it stands what the MTA's own program
takes to make the same map from its text (postmap, makemap, tcprules: Debian's real ones), which is the usual way. Kinds
that are text alone (`exim`, `opensmtpd`, `courier`, `cidr`, `texthash`) cost what `text` does, and their command.
`Mail::POPRelay` is the original's way, by an equivalent loop. `lmdb` must cost the same however many addresses there
are. Needs the packages of the live tests (`make setup`).
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from poprelay.config.section import Section
from poprelay.maps import Entry
from poprelay.maps.cdb import CdbMap
from poprelay.maps.hash import HashMap
from poprelay.maps.lmdb import LmdbMap
from poprelay.maps.sendmail import SendmailMap
from poprelay.maps.spool import SpoolMap
from poprelay.maps.sqlite import SqliteMap
from poprelay.maps.tcprules import TcprulesMap
from poprelay.maps.text import TextMap
from poprelay.model import Address
from report import KEPT, Topic, quick

LIVE = Path(__file__).resolve().parents[1] / ".live"
SIZES = (1_000, 100_000, 1_000_000)
QUICK = (100, 10_000)
FLAT = 3.0
"""How much more a grant may cost at the largest size than at the smallest, where a map is changed in place."""
SECONDS = 4.0
"""For all sizes of a kind; but each is measured three times at least."""


class Changing(Protocol):
    """As much of a map as is measured."""

    def keys(self) -> set[str]: ...

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None: ...

    def close(self) -> None: ...


class Tools:
    """Debian's programs, each as a script that runs it from where it was unpacked."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        shared = LIVE / "postfix/usr/lib/postfix"
        tables = ("lmdb", "cdb")
        (directory / "dynamicmaps.cf").write_text(
            "".join(f"{kind}\tpostfix-{kind}.so\tdict_{kind}_open\tmkmap_{kind}_open\n" for kind in tables)
        )
        (directory / "main.cf").write_text(
            f"compatibility_level = 3.6\nshlib_directory = {shared}\nmeta_directory = {directory}\n"
            f"lmdb_map_size = {1 << 30}\nmail_owner = news\nsetgid_group = uucp\ndefault_privs = nobody\n"
        )
        self.postmap = self._program("postfix", "usr/sbin/postmap", f"-c {directory}")
        self.makemap = self._program("sendmail", "usr/libexec/sendmail/makemap", "-C /dev/null")
        self.tcprules = self._program("tcpserver", "usr/bin/tcprules")

    def _program(self, package: str, path: str, first: str = "") -> str:
        libraries = sorted({str(found.parent) for found in (LIVE / package).glob("usr/lib/**/*.so*")})
        program = self._directory / Path(path).name
        where = f"LD_LIBRARY_PATH={':'.join(libraries)}"
        program.write_text(f'#!/bin/sh\n{where} exec {LIVE / package / path} {first} "$@"\n')
        program.chmod(0o755)
        return str(program)


class Original:
    """What Mail::POPRelay does at each login: the whole relay file, then `makemap hash %r < %r`."""

    def __init__(self, file: Path, makemap: str) -> None:
        self._file = file
        self._makemap = makemap
        self._addresses: list[str] = []

    def keys(self) -> set[str]:
        return set()

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        self._addresses += [entry.address for entry in added]
        self._file.write_text("".join(f"{address} RELAY\n" for address in self._addresses if address not in removed))
        run([self._makemap, "hash", str(self._file)], self._file)

    def close(self) -> None:
        pass


class Kind(NamedTuple):
    """How a map is made in a directory, what a line of its text looks like, and by which command the MTA makes it of
    the text `{}`."""

    make: Callable[[Path, Tools], Changing]
    line: str = ""
    tool: Callable[[Tools], Sequence[str]] | None = None


def configured(**table: str) -> Section:
    return Section(dict(table), ("maps", 0), [])


KINDS: dict[str, Kind] = {
    "lmdb": Kind(lambda place, _: LmdbMap(place / "relay.lmdb"), "%i OK", lambda tools: (tools.postmap, "lmdb:{}")),
    "sqlite": Kind(lambda place, _: SqliteMap(place / "relay.sqlite")),
    "spool": Kind(lambda place, _: SpoolMap(place / "spool")),
    "text": Kind(lambda place, _: TextMap(place / "relay")),
    "hash": Kind(
        lambda place, tools: HashMap.from_section(configured(path=f"{place}/relay.db", postmap=tools.postmap)),
        "%i OK",
        lambda tools: (tools.postmap, "hash:{}"),
    ),
    "cdb": Kind(
        lambda place, tools: CdbMap.from_section(configured(path=f"{place}/relay.cdb", postmap=tools.postmap)),
        "%i OK",
        lambda tools: (tools.postmap, "cdb:{}"),
    ),
    "sendmail": Kind(
        lambda place, tools: SendmailMap.from_section(configured(path=f"{place}/access", makemap=tools.makemap)),
        "Connect:%i RELAY",
        lambda tools: (tools.makemap, "hash", "{}"),
    ),
    "tcprules": Kind(
        lambda place, tools: TcprulesMap.from_section(configured(path=f"{place}/tcp.smtp", tcprules=tools.tcprules)),
        '%i:allow,RELAYCLIENT=""',
        lambda tools: (tools.tcprules, "{}.cdb", "{}.tmp"),
    ),
    "Mail::POPRelay": Kind(lambda place, tools: Original(place / "access", tools.makemap)),
}


def address(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def entry(number: int) -> Entry:
    return Entry(Address(address(number)), ("ann",), 1_700_000_000.0, 1_700_001_800.0)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(command: Sequence[str], stdin: Path) -> None:
    with stdin.open("rb") as text:
        subprocess.run(command, stdin=text, capture_output=True, check=True)


def in_turns(works: Mapping[int, Callable[[int], object]]) -> dict[int, float]:
    """Seconds for each, in the median. They take turns, so that a slow spell of the disk meets all alike."""
    spans: dict[int, list[float]] = {size: [] for size in works}
    ends = time.monotonic() + SECONDS
    turn = 0
    while turn < 3 or (turn < 300 and time.monotonic() < ends):
        for size, work in works.items():
            spans[size].append(timed(lambda: work(turn)))  # noqa: B023 - called at once
        turn += 1
    return {size: statistics.median(found) for size, found in spans.items()}


def grants(kind: Kind, sizes: Sequence[int], place: Path, tools: Tools) -> dict[int, float]:
    """Seconds for one grant, for each size."""
    targets: dict[int, Changing] = {}
    for size in sizes:
        (place / str(size)).mkdir(parents=True)
        targets[size] = target = kind.make(place / str(size), tools)
        target.keys()
        if isinstance(target, SpoolMap):  # one by one and synced, as it does that, a million files last for minutes
            for number in range(size):
                (target.path / address(number)).write_text("ann")
        else:
            target.change([entry(number) for number in range(size)], [])
    found = in_turns(
        {
            size: lambda turn, size=size, target=target: target.change([entry(size + turn)], [])  # type: ignore[misc]
            for size, target in targets.items()
        }
    )
    for target in targets.values():
        target.close()
    return found


def rebuilds(kind: Kind, sizes: Sequence[int], place: Path, tools: Tools) -> dict[int, float]:
    """Seconds for the MTA's own program to make the map from its text; nothing where there is none."""
    if kind.tool is None:
        return {}
    works: dict[int, Callable[[int], object]] = {}
    for size in sizes:
        text = place / f"text{size}"
        text.write_text("".join(kind.line.replace("%i", address(number)) + "\n" for number in range(size)))
        command = [word.replace("{}", str(text)) for word in kind.tool(tools)]
        works[size] = lambda _, command=command, text=text: run(command, text)  # type: ignore[misc]
    return in_turns(works)


def fsync(directory: Path) -> float:
    """Seconds for one write and fsync of 4 KiB."""
    with (directory / "fsync").open("wb") as file:

        def write() -> None:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())

        return statistics.median(timed(write) for _ in range(200))


def main() -> int:
    sizes = QUICK if quick() else SIZES
    topic = Topic(
        "maps",
        "One login with many addresses allowed",
        "One address more, published and durable, by kind of map and by the number of addresses that it holds already; "
        "then how much longer the MTA's own program takes to make the same map from its text. *Mail::POPRelay* is its "
        "own way, by an equivalent loop: write the relay file anew, run the real makemap.",
    )
    costs: dict[str, dict[int, float]] = {}
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as name:
        place = Path(name)
        tools = Tools(place / "tools")
        disk = fsync(place)
        for word, kind in KINDS.items():
            costs[word] = grants(kind, sizes, place / word, tools)
            for size, seconds in costs[word].items():
                topic.add(f"{word}, {size:,} addresses", seconds * 1000, "ms")
            for size, seconds in rebuilds(kind, sizes, place / word, tools).items():
                topic.add(f"its own program / {word}, {size:,}", seconds / costs[word][size], "times")
            shutil.rmtree(place / word)
    for size in sizes:
        topic.add(f"Mail::POPRelay / lmdb, {size:,}", costs["Mail::POPRelay"][size] / costs["lmdb"][size], "times")
    for word in ("lmdb", "sqlite"):
        growth = costs[word][sizes[-1]] / costs[word][sizes[0]]
        topic.add(f"{word}, {sizes[-1]:,} / {sizes[0]:,}", growth, "times", at_most=FLAT)
    topic.add("fsync of 4 KiB on this disk", disk * 1000, "ms")
    topic.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
