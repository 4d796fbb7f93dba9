"""What it costs to have it: a daemon with an empty ledger that does nothing, and how long a command takes.

    python benchmarks/footprint.py

The daemon is as one that is set up: a log, an lmdb map, a socketmap service. The commands find it running.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import poprelay
from cpu import last_core, memory, spent, spent_by
from house import PROGRAM, House, fresh_environment
from report import Topic, quick

IDLE: Final = 10 if quick() else 60
"""Seconds for which the daemon is watched."""
RUNS: Final = 10 if quick() else 30
COMMANDS: Final[dict[str, tuple[tuple[str, ...], float]]] = {
    "`poprelay --version`": (("--version",), 100),
    "`poprelay list`": (("list",), 150),
    "`poprelay explain`": (("explain", "192.0.2.7"), 150),
}
"""What is typed, and the milliseconds that it may take."""


def timed(house: House, words: tuple[str, ...]) -> tuple[float, float]:
    """Milliseconds of one run, by the clock and of CPU."""
    where = () if words == ("--version",) else ("-c", str(house.config))
    used, began = spent(), time.perf_counter()
    command = [PROGRAM, words[0], *where, *words[1:]]
    subprocess.run(command, check=False, capture_output=True, env=fresh_environment())
    return (time.perf_counter() - began) * 1000, (spent() - used) * 1000


def main() -> int:
    topic = Topic(
        "footprint",
        "A daemon that does nothing, and the commands",
        "An empty ledger, one log, one lmdb map, one socketmap service. The commands ask the running daemon; bytecode "
        "is compiled.",
    )
    compileall.compile_dir(Path(poprelay.__file__).parent, quiet=2)
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        with house.running(last_core()) as pid:
            time.sleep(2)
            used, began = spent_by(pid), time.monotonic()
            time.sleep(IDLE)
            share = (spent_by(pid) - used) / (time.monotonic() - began) * 100
            held, own = memory(pid)
            topic.add("memory", held, "MiB", at_most=60)
            topic.add("of it private", own, "MiB")
            topic.add("CPU while idle", share, "% of a core", at_most=0.5)
            runs: dict[str, list[tuple[float, float]]] = {}
            for _ in range(RUNS):
                for what, (words, _limit) in COMMANDS.items():
                    runs.setdefault(what, []).append(timed(house, words))
    for what, (_, limit) in COMMANDS.items():
        topic.add(what, [wall for wall, _ in runs[what]], "ms", at_most=limit)
        topic.add(f"{what}, CPU", [cpu for _, cpu in runs[what]], "ms")
    topic.say(f"The idle daemon was watched for {IDLE} seconds; commands ran {RUNS} times each, in turns.")
    topic.keep()
    return 0


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
