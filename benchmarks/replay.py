"""How fast a log becomes a durable ledger, scan included: a million logins of 100,000 users, on one core.

    python benchmarks/replay.py

Once as a daemon that was away catches up (read, scan, judge, commit, show), and once as `poprelay replay --into` does,
which prints every change; then the least that Python can do for it, a loop that is printed below. CPU time of all
threads.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from calendar import timegm
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from cpu import last_core, spent, stay_on
from house import PROGRAM, House, logins
from poprelay.clock import Clock
from poprelay.config.settings import LogSettings
from poprelay.daemon.configure import read_config
from poprelay.daemon.follower import Follower
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.logs.logging import set_up_logging
from poprelay.daemon.storage import Storage
from poprelay.ledger.sqlite import read_snapshot
from report import Topic, quick

LOGINS: Final = 200_000 if quick() else 1_000_000
USERS: Final = LOGINS // 10
WANTED: Final = 50_000  # logins a second


def caught_up(config_path: Path) -> float:
    """Seconds of CPU until all logins of the log are durable and in sight."""
    return asyncio.run(_caught_up(config_path))


async def _caught_up(config_path: Path) -> float:
    config = read_config(config_path)
    set_up_logging(LogSettings(level="warning"))  # as the command does
    storage = Storage(config.settings, Clock())
    keeper = Keeper(storage.ledger, storage.writer, Clock())
    follower = Follower(config.sources[0].object, keeper)
    began = spent()
    following = asyncio.create_task(follower.run(lambda: None))
    await follower.caught_up.wait()
    taken = spent() - began
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    await keeper.close()
    await storage.close()
    return taken


def replayed(config_path: Path) -> float:
    """Seconds of CPU of the command."""
    began = spent()
    log = config_path.with_name("mail.log")
    words = [str(PROGRAM), "replay", "--into", "-c", str(config_path), "--timezone", "UTC", str(log)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return spent() - began


def bare_loop(config_path: Path) -> float:
    """Seconds of CPU of the least that could be done: one form of one server's lines, no rules, no sessions."""
    began = spent()
    login = re.compile(r"(\S+ +\S+ \S+) \S+ dovecot: \w+-login: Login: user=<([^>]*)>,.*? rip=([^,]*),").match
    moments: dict[str, float] = {}
    grants: dict[tuple[str, str], tuple[float, float, int]] = {}
    changes: list[str] = []
    year = time.gmtime().tm_year
    with config_path.with_name("mail.log").open() as log:
        for line in log:
            if found := login(line):
                stamp, user, address = found.groups()
                if stamp not in moments:
                    moments[stamp] = timegm(time.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S"))
                at = moments[stamp]
                opened, _, renewals = grants.get((address, user), (at, at, -1))
                grants[address, user] = (opened, at + 1800, renewals + 1)
                changes.append(f"{stamp} {address} {user}")
    with closing(sqlite3.connect(config_path.with_name("bare.db"), isolation_level=None)) as store:
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")
        store.execute("CREATE TABLE grants (address, user, opened, until, renewals, PRIMARY KEY (address, user))")
        store.execute("BEGIN")
        store.executemany("INSERT INTO grants VALUES (?, ?, ?, ?, ?)", ((*key, *row) for key, row in grants.items()))
        store.execute("COMMIT")
    with Path(os.devnull).open("w") as nowhere:
        for change in changes:
            print(change, file=nowhere)
    return spent() - began


def main() -> int:
    topic = Topic(
        "replay",
        "A log into a durable ledger",
        f"{LOGINS:,} logins of {USERS:,} users at {USERS:,} addresses, as Dovecot logs them with session ids; read, "
        "scanned, judged, committed and shown, on one core. Logins for each second of CPU.",
    )
    stay_on(last_core())
    found: dict[str, list[float]] = {}
    for _ in range(1 if quick() else 3):
        for what, run in (
            ("as a daemon catches up", caught_up),
            ("`poprelay replay --into`", replayed),
            ("a bare loop", bare_loop),
        ):
            with tempfile.TemporaryDirectory() as directory:
                house = House(Path(directory))
                house.log.write_text("".join(itertools.islice(logins(USERS, time.time() - 900), LOGINS)))
                with multiprocessing.get_context("spawn").Pool(1) as alone:
                    found.setdefault(what, []).append(LOGINS / alone.apply(run, (house.config,)))
                if run is not bare_loop:
                    grants = len(read_snapshot(Path(directory, "ledger.db")).grants)
                    assert abs(grants - USERS) < USERS / 1000, f"{grants} grants"
    bare = found.pop("a bare loop")
    for what, rates in found.items():
        topic.add(what, rates, "/s", at_least=WANTED)
    topic.add("a bare loop", bare, "/s")
    for what, rates in found.items():
        topic.add(f"{what} / a bare loop", [rate / most for rate, most in zip(rates, bare, strict=True)], "times")
    topic.say("The bare loop, which knows one form of one server's lines, and neither rules nor sessions:")
    topic.say(f"```python\n{inspect.getsource(bare_loop)}```")
    topic.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
