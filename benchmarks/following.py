"""Following a log that is being written fast, while an MTA asks: 20,000 logins a second for a minute.

    python benchmarks/following.py

The daemon has one core, with the map, the service and the log level that it has by default; who writes and who asks
share the other. The last login is of a user who was never seen, so that the lag is told by the service itself.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from cpu import first_core, last_core, spent_by, stay_on
from house import LINE, House, address, allowed, logins, until
from report import Topic, quick

RATE: Final = 20_000
SECONDS: Final = 10 if quick() else 60
USERS: Final = 100_000
STEP: Final = 0.01
"""Seconds between two writes."""
ASK_EVERY: Final = 0.002
PREPARED: Final = 200_000
"""Different lines; they are written again and again, under the stamp of the moment."""


def write(log: Path, done: Connection) -> None:
    """Write at the rate, for the time; then say how many lines that were."""
    stay_on(last_core())
    marks = (line.partition(" mx ") for line in itertools.islice(logins(USERS, 0), PREPARED))
    lines = [f" mx {text}" for _, _, text in marks]
    with log.open("a") as file:
        began, written = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < SECONDS:
            wanted = min(int(elapsed * RATE), RATE * SECONDS)
            stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
            file.write("".join(f"{stamp}{lines[number % PREPARED]}" for number in range(written, wanted)))
            file.flush()
            written = max(written, wanted)
            time.sleep(STEP)
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
        file.write(LINE.format(stamp=stamp, user=USERS, address=address(USERS), pid=1, session=1))
    done.send((written + 1, time.monotonic()))


def main() -> int:
    topic = Topic(
        "following",
        "Following while it is written",
        f"{RATE:,} logins a second of {USERS:,} users for {SECONDS} seconds, and a lookup each "
        f"{ASK_EVERY * 1000:.0f} ms; the daemon on one core, all else on the other.",
    )
    stay_on(last_core())
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        with house.running(first_core()) as pid:
            measure(topic, house, pid)
    topic.keep()
    return 0


def measure(topic: Topic, house: House, pid: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(house.log, theirs))
    peer = house.lookups()
    waits: list[float] = []
    used = spent_by(pid)
    writer.start()
    while not ours.poll():
        asked = time.perf_counter()
        allowed(peer, address(len(waits) % USERS))
        waits.append((time.perf_counter() - asked) * 1000)
        time.sleep(ASK_EVERY)
    written, ended = ours.recv()
    until(lambda: allowed(peer, address(USERS)), 120)
    lag = time.monotonic() - ended
    used = spent_by(pid) - used
    writer.join()
    with contextlib.suppress(RuntimeError):
        until(lambda: house.status()["sources"][0]["logins"] >= written, 10)
    source = house.status()["sources"][0]
    waits.sort()
    topic.add("lines written a second", written / SECONDS, "/s")
    topic.add("lag at the end", max(lag, 0.0), "s", at_most=1)
    topic.add("logins lost", written - source["logins"], at_most=0)
    topic.add("lookup, median", waits[len(waits) // 2], "ms")
    topic.add(f"lookup, 99th percentile of {len(waits):,}", waits[int(len(waits) * 0.99)], "ms", at_most=20)
    topic.add("longest lookup", waits[-1], "ms")
    topic.add("CPU of the daemon for each line", used / written * 1e6, "us", at_most=1e6 / RATE)


if __name__ == "__main__":
    sys.exit(main())
