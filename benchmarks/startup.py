"""Start-up and memory with a million grants, and whether lookups ever wait while these change.

    python benchmarks/startup.py

Loading is compared with the least that any program must do: a bare `SELECT *` of the same table into a dict, in a
process of its own, in turns. Pauses are how long an event loop full of work lets a lookup wait, by the clock; beside
them stands the least that any such program must do: the same rows put into a bare dict and, by a thread, into SQLite.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import multiprocessing
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import replace

from cpu import last_core, memory, stay_on
from house import House, address
from poprelay.clock import Clock
from poprelay.config.settings import LogSettings
from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.daemon import SWITCH
from poprelay.daemon.keeper import LARGE_PIECE, Keeper
from poprelay.daemon.logs.logging import set_up_logging
from poprelay.daemon.storage import Storage
from poprelay.daemon.terms import rules_of, terms_of
from poprelay.ledger.bundles import LARGEST, MOST
from poprelay.ledger.connection import connect
from poprelay.ledger.damage import SUFFIXES
from poprelay.ledger.files import beside
from poprelay.ledger.record import Cell, Record
from poprelay.ledger.sqlite import SqliteStore
from poprelay.model import Address, Grant, Instant, Login, Origin, Revocation
from poprelay.sources import Batch
from report import Topic, quick

T = TypeVar("T")

GRANTS: Final = 200_000 if quick() else 1_000_000
SPAN: Final = 10_800.0
BATCH: Final = 750  # logins, about what one block of a log holds
ENDING: Final = 20_000  # grants that end together while lookups go on
SOON: Final = 1_800.0  # seconds from the making of the ledger until they do
BUNDLED: Final = min(MOST, GRANTS // LARGEST // 2 * LARGEST)
SECONDS: Final = 5 if quick() else 20


def grant(number: int, now: float) -> Grant:
    """One login of one user at one address, as much time ago as its number says; the first few end together."""
    at = now - SPAN + SOON if number < ENDING else now - number % 3600
    return Grant(Address(address(number)), f"user{number}@example.com", "login", at, at + SPAN, at, at, SPAN, "dovecot")


def fill(path: Path) -> None:
    now = time.time()
    with closing(SqliteStore(path)) as store:
        for start in range(0, GRANTS, 50_000):
            cells = [Cell(grant(number, now)) for number in range(start, min(start + 50_000, GRANTS))]
            store.commit([Record(grants=cells)])


def kill_renewing(path: Path, left: Path) -> None:
    """What a daemon leaves of this ledger that is killed when as much of it is bundled as ever is."""
    now = time.time()
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(SqliteStore(Path(shutil.copy(path, directory)))) as store,
    ):
        for start in range(ENDING, ENDING + BUNDLED, LARGEST):
            grants = [replace(grant(number, now), renewals=1) for number in range(start, start + LARGEST)]
            store.commit([Record(grants=[Cell(renewed) for renewed in grants])])
        for suffix in SUFFIXES:
            shutil.copy(beside(store.path, suffix), beside(left, suffix))


def bare(path: Path) -> tuple[float, float]:
    """Seconds of CPU, and bytes for each row, of the least that must be done."""
    before, began = memory()[1], time.process_time()
    with closing(sqlite3.connect(path)) as connection:
        rows = {row[:3]: row for row in connection.execute("SELECT * FROM grants")}
    taken = time.process_time() - began
    return taken, (memory()[1] - before) * 2**20 / len(rows)


class Ahead(Clock):
    """A clock that is so much ahead."""

    ahead = 0.0

    def now(self) -> Instant:
        return super().now() + self.ahead


async def opened(config: Config, clock: Clock) -> Keeper:
    """What the daemon does before it answers: load, check, and judge every grant again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)
    set_up_logging(LogSettings())  # as it logs by default
    sys.setswitchinterval(SWITCH)
    storage = Storage(config.settings, clock)
    keeper = Keeper(storage.ledger, storage.writer, clock)
    await keeper.retune(LARGE_PIECE)
    return keeper


def ours(path: Path) -> tuple[float, float]:
    """The same for us."""
    return asyncio.run(_ours(read_config(path.with_name("poprelay.toml"))))


async def _ours(config: Config) -> tuple[float, float]:
    before, began = memory()[1], time.process_time()
    keeper = await opened(config, Clock())
    taken = time.process_time() - began
    assert len(keeper.ledger) == GRANTS
    return taken, (memory()[1] - before) * 2**20 / GRANTS


class Waits(NamedTuple):
    """How long lookups waited, in milliseconds."""

    longest: float
    mostly: float
    """99.9 of a hundred waited no longer."""
    lookups: int
    seconds: float
    """How long all of it took."""


def bare_pauses(path: Path) -> Waits:
    """How long they waited in the least program, while logins came."""
    return asyncio.run(_bare_pauses(path))


def pauses(path: Path) -> Waits:
    """How long they waited for us while logins, renewals and ends went on."""
    return asyncio.run(_pauses(read_config(path.with_name("poprelay.toml"))))


def judging(path: Path) -> Waits:
    """The same while every grant was judged again, as at a reload."""
    return asyncio.run(_judging(read_config(path.with_name("poprelay.toml"))))


def wiping(path: Path) -> Waits:
    """The same while every grant was closed, by one order."""
    return asyncio.run(_wiping(read_config(path.with_name("poprelay.toml"))))


def clamping(path: Path) -> Waits:
    """The same while every grant was shortened, because the clock had been set back."""
    return asyncio.run(_clamping(read_config(path.with_name("poprelay.toml"))))


async def _bare_pauses(path: Path) -> Waits:
    connection = connect(path)
    rows = {row[0]: row for row in connection.execute("SELECT * FROM grants")}
    gc.freeze()
    sys.setswitchinterval(SWITCH)
    put = f"INSERT OR REPLACE INTO grants VALUES ({','.join('?' * len(rows[address(0)]))})"

    def write(batch: list[tuple[Any, ...]]) -> None:
        connection.execute("BEGIN")
        connection.executemany(put, batch)
        connection.execute("COMMIT")

    async def log_in(ends: float) -> None:
        number = GRANTS // 2
        while time.monotonic() < ends:
            batch = [tuple(rows[address(n)]) for n in range(number, number + BATCH)]
            await asyncio.to_thread(write, batch)
            rows.update((row[0], row) for row in batch)
            number = (number + BATCH) % (GRANTS - BATCH)

    with closing(connection):
        return await _waits(rows.get, [log_in(time.monotonic() + SECONDS)])


async def _pauses(config: Config) -> Waits:
    clock = Ahead()
    keeper = await opened(config, clock)
    end = keeper.ledger.next_end()
    assert end is not None
    clock.ahead = end - clock.now() - 1.0
    ends = time.monotonic() + SECONDS
    return await _waits(keeper.find, [work(keeper, ends) for work in (_log_in, _expire)])


async def _judging(config: Config) -> Waits:
    keeper = await opened(config, Clock())
    keeper.ledger.replace(terms_of(config.settings), rules_of(config.settings, keeper.ledger.rules.surroundings))
    return await _waits(keeper.find, [keeper.retune()])


async def _clamping(config: Config) -> Waits:
    clock = Ahead()
    keeper = await opened(config, clock)
    clock.ahead = -SOON
    return await _waits(keeper.find, [_set_back(keeper)])


async def _wiping(config: Config) -> Waits:
    keeper = await opened(config, Clock())
    return await _waits(keeper.find, [_wipe(keeper)])


async def _waits(find: Callable[[Address], object], works: list[Coroutine[None, None, None]]) -> Waits:
    """How long one lookup after the other waited until all that was done."""
    doing = asyncio.gather(*works)
    tenths = [0] * 50_000  # counted, for a list of all waits would itself be looked at by the collector
    lookups, longest = 0, 0.0
    began = now = time.perf_counter()
    while not doing.done():
        find(Address(address(lookups % GRANTS)))
        await asyncio.sleep(0)
        before, now = now, time.perf_counter()
        waited = (now - before) * 1000
        tenths[int(waited * 10)] += 1
        longest = max(longest, waited)
        lookups += 1
    await doing
    few = itertools.accumulate(reversed(tenths))
    mostly = len(tenths) - next(number for number, count in enumerate(few) if count > lookups / 1000)
    return Waits(longest, mostly / 10, lookups, now - began)


async def _wipe(keeper: Keeper) -> None:
    """As `poprelay wipe` does."""
    pieces = await keeper.wipe(Revocation("wipe", keeper.clock.now(), "root", None, None, "wiped"))
    while pieces:
        pieces.popleft()
        await asyncio.sleep(0)


async def _set_back(keeper: Keeper) -> None:
    """As the ticker does."""
    keeper.set_back()
    while keeper.clamp():
        await asyncio.sleep(0)


async def _log_in(keeper: Keeper, ends: float) -> None:
    """Batches of logins, half of them of users that are known."""
    number, origin = GRANTS // 2, Origin("log", "mx")
    while time.monotonic() < ends:
        now = keeper.clock.now()
        events = tuple(
            Login(now, f"user{n}@example.com", Address(address(n)), "imap", True, f"s{n}", "dovecot", origin)
            for n in range(number, number + BATCH)
        )
        number += BATCH
        await keeper.take("log", Batch(events=events, position=b"%d" % number, read_at=now, caught_up=True))


async def _expire(keeper: Keeper, ends: float) -> None:
    """As the ticker does."""
    while time.monotonic() < ends:
        await asyncio.sleep(0 if keeper.expire() else 0.05)


def alone(work: Callable[[Path], T], path: Path) -> T:
    """What it gives in a process of its own, on one core."""
    with multiprocessing.get_context("spawn").Pool(1, stay_on, (last_core(),)) as process:
        return process.apply(work, (path,))


def on_a_copy(work: Callable[[Path], T], path: Path) -> T:
    """What it gives in a process of its own, on a ledger of its own, on all cores: as a daemon lives."""
    with tempfile.TemporaryDirectory() as directory, multiprocessing.get_context("spawn").Pool(1) as process:
        copy = House(Path(directory)).place / path.name
        shutil.copy(path, copy)
        return process.apply(work, (copy,))


BARE: Final = "in the bare loop"
RELOAD: Final = "in a reload"
STEP: Final = "when the clock was set back"
WIPE: Final = "while everything is closed"
SCENES: Final = {
    BARE: bare_pauses,
    "while logins come and grants end": pauses,
    RELOAD: judging,
    STEP: clamping,
    WIPE: wiping,
}


def main() -> int:
    topic = Topic(
        "startup",
        "A million grants",
        f"{GRANTS:,} grants in the ledger: the CPU time until all are loaded, checked and judged, against a bare "
        "`SELECT *` of the same table into a dict; the same after a kill, with as many bundled as ever are; private "
        "memory for each grant; and how long a lookup waits at most, "
        f"by the clock, while logins come in batches of {BATCH:,} without a rest and {ENDING:,} grants end at once, "
        "while all are judged anew, as at a reload, while all are shortened for a clock that was set back, and while "
        "all are closed by one order; it logs as a daemon does by default. The bare loop puts the same rows into a "
        "dict and, by a thread, into SQLite: what it waits is the interpreter's and the machine's.",
    )
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": [], "after a kill": []}
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as other:
        path = House(Path(directory)).place / "ledger.db"
        fill(path)
        left = House(Path(other)).place / path.name
        kill_renewing(path, left)
        for _ in range(1 if quick() else 3):
            found["bare"].append(alone(bare, path))
            found["ours"].append(alone(ours, path))
            found["after a kill"].append(alone(ours, left))
        waited = {when: on_a_copy(work, path) for when, work in SCENES.items()}
    topic.add("`SELECT *` into a dict, s of CPU", [taken for taken, _ in found["bare"]], "s")
    topic.add("start, s of CPU", [taken for taken, _ in found["ours"]], "s")
    ratios = [mine[0] / least[0] for mine, least in zip(found["ours"], found["bare"], strict=True)]
    topic.add("start / `SELECT *`", ratios, "times", at_most=4)
    killed = [mine[0] / least[0] for mine, least in zip(found["after a kill"], found["bare"], strict=True)]
    topic.add(f"start after a kill, {BUNDLED:,} grants bundled / `SELECT *`", killed, "times")
    topic.add("private memory for each grant", [size for _, size in found["ours"]], "bytes", at_most=900)
    topic.add("the same after a kill, as many bundled", [size for _, size in found["after a kill"]], "bytes")
    topic.add("the same of the bare dict", [size for _, size in found["bare"]], "bytes")
    for when, waits in waited.items():
        limit = None if when == BARE else 20.0
        topic.add(f"longest wait {when}", waits.longest, "ms", at_most=limit)
        topic.add("the same, 99.9th percentile", waits.mostly, "ms", at_most=limit)
        topic.add("the same, lookups in a second", waits.lookups / waits.seconds, "/s")
    for when in (RELOAD, STEP, WIPE):
        topic.add(f"how long that takes {when}", waited[when].seconds, "s")
    topic.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
