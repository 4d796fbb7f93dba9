"""All benchmarks, one after the other, and the page `docs/benchmarks.md` that their results make.

    python benchmarks/run.py [--resume] [TOPIC...]

Each benchmark is a program of its own. One that breaks is said on the page, and does not end the run; then the exit
code is 1. With topics, only these are measured anew. `--resume` goes on where a run was interrupted. With `QUICK=1` in
the environment everything is smaller, and takes a few minutes.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

from report import KEPT, Topic, quick, stored

HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parent / "docs" / "benchmarks.md"
TOPICS: Final = ("scan", "replay", "following", "latency", "maps", "lookups", "startup", "footprint")
PATIENCE: Final = 900
"""Seconds that one benchmark may take."""
LIBRARIES: Final = ("msgspec", "ahocorasick-rs", "lmdb", "structlog", "click")
PEERS: Final = {"postfix": "postfix", "sendmail": "sendmail-bin", "ripgrep": "ripgrep", "fail2ban": "fail2ban"}
"""Where Debian's packages are unpacked, and which one each is."""

INTRODUCTION: Final = """# Benchmarks

What `make bench` measured, on the machine below. Where a ratio is given, both sides were measured in the same run, in
turns; the median counts, and the spread is that of the rounds. A target that was missed is said so here and fails
nothing: speed is never a test. CPU time counts where it says so, so that other work on the machine matters less.

    make bench                         # about half an hour; writes this page
    make bench QUICK=1                 # a few minutes: fewer rounds, smaller logs
    make bench TOPICS="following latency"   # only these anew, the rest of the page from the last run
    make bench RESUME=1                # go on where a run was interrupted
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("topics", nargs="*", choices=[[], *TOPICS], metavar="TOPIC", help=", ".join(TOPICS))
    options.add_argument("--resume", action="store_true", help="keep what an interrupted run has measured")
    given = options.parse_args()
    wanted = given.topics or TOPICS
    for name in wanted:
        if not given.resume:
            (KEPT / f"{name}.json").unlink(missing_ok=True)
    broken = [name for name in wanted if stored(name) is None and not measured(name)]
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(HERE.parent)} is written" + (f"; broken: {', '.join(broken)}" if broken else ""))
    return 1 if broken else 0


def measured(name: str) -> bool:
    """Run one benchmark; whether it came to its end."""
    print(f"\n{name}", flush=True)
    began = time.monotonic()
    try:
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True, timeout=PATIENCE)
    except (subprocess.SubprocessError, OSError) as error:
        why = (
            f"after {PATIENCE} seconds it had not ended" if isinstance(error, subprocess.TimeoutExpired) else "it broke"
        )
        if stored(name) is None:
            broken = Topic(name, name.capitalize(), "")
            broken.fail(name, why)
            broken.keep()
        return False
    print(f"({time.monotonic() - began:.0f} s)")
    return True


def page() -> str:
    """The whole page, from whatever results there are."""
    topics = [topic for name in TOPICS if (topic := stored(name)) is not None]
    missing = ", ".join(name for name in TOPICS if stored(name) is None)
    left_out = [f"Not measured, for it broke or was not asked for: {missing}.\n"] if missing else []
    return "\n".join([INTRODUCTION, machine(topics), *(topic.markdown() for topic in topics), *left_out])


def machine(topics: list[Topic]) -> str:
    """What it ran on: no names, no paths."""
    loads = [topic.load for topic in topics]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    rows = [
        ("processor", f"{processor()}, {os.cpu_count()} cores"),
        ("speed", f"ten million additions in a Python loop: {additions():.2f} s"),
        ("memory", f"{memory:.0f} GiB"),
        ("disk", f"one write and fsync of 4 KiB: {fsync() * 1000:.2f} ms (median)"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("versions", f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {libraries}"),
        (
            "Debian's",
            ", ".join(f"{package} {found}" for name, package in PEERS.items() if (found := debian(name, package))),
        ),
        ("other work", f"{min(loads):.1f} to {max(loads):.1f} processes wanted to run, ours included" if loads else ""),
        ("run", ("a quick one (`QUICK=1`)" if any(topic.quick for topic in topics) else "a full one")),
    ]
    lines = ["## The machine", "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines) + "\n"


def debian(name: str, package: str) -> str:
    """The version of a package that is unpacked; '' if it is not."""
    for log in (HERE.parent / ".live" / name / "usr/share/doc" / package).glob("changelog*.gz"):
        with gzip.open(log, "rt", encoding="utf-8", errors="replace") as text:
            first = text.readline().split()
        if len(first) > 1 and first[1].startswith("("):
            return first[1].strip("()")
    return ""


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def additions(times: int = 10_000_000) -> float:
    """Seconds for a loop that does nothing else, the best of three."""

    def once() -> float:
        began = time.perf_counter()
        total = 0
        for number in range(times):
            total += number
        return time.perf_counter() - began

    return min(once() for _ in range(3))


def fsync(times: int = 200) -> float:
    """Seconds for one write and fsync of 4 KiB, on the disk that the benchmarks use."""
    spans: list[float] = []
    with tempfile.TemporaryFile() as file:
        for _ in range(times):
            began = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fsync(file.fileno())
            spans.append(time.perf_counter() - began)
    return sorted(spans)[times // 2]


if __name__ == "__main__":
    if quick():
        print("a quick run")
    sys.exit(main())
