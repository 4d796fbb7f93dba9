"""Start-up and memory with a million grants, and whether lookups ever wait while these change.

    python benchmarks/startup.py

Loading is compared with the least that any program must do: a bare `SELECT *` of the same table into a dict, in a
process of its own, in turns. Pauses are how long an event loop full of work lets a lookup wait, by the CPU time of the
whole process (collector and writer included) and by the clock.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from cpu import last_core, memory, stay_on
from house import House, address
from poprelay.clock import Clock
from poprelay.config.settings import LogSettings
from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.daemon import SWITCH
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.logs.logging import set_up_logging
from poprelay.daemon.storage import Storage
from poprelay.daemon.terms import rules_of, terms_of
from poprelay.ledger.record import Cell, Record
from poprelay.ledger.sqlite import SqliteStore
from poprelay.model import Address, Grant, Instant, Login, Origin
from poprelay.sources import Batch
from report import Topic, quick

T = TypeVar("T")

GRANTS: Final = 200_000 if quick() else 1_000_000
SPAN: Final = 10_800.0
BATCH: Final = 750  # logins, about what one block of a log holds
ENDING: Final = 20_000  # grants that end together while lookups go on
SOON: Final = 1_800.0  # seconds from the making of the ledger until they do
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
    set_up_logging(LogSettings(level="warning"))
    sys.setswitchinterval(SWITCH)
    storage = Storage(config.settings, clock)
    keeper = Keeper(storage.ledger, storage.writer, clock)
    await keeper.retune()
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


def pauses(path: Path) -> list[tuple[float, float]]:
    """How long lookups waited, by CPU time and by the clock, while logins, renewals and ends went on."""
    return asyncio.run(_pauses(read_config(path.with_name("poprelay.toml"))))


def judging(path: Path) -> list[tuple[float, float]]:
    """The same while every grant was judged again, as at a reload, and shortened for a clock that was set back."""
    return asyncio.run(_judging(read_config(path.with_name("poprelay.toml"))))


async def _pauses(config: Config) -> list[tuple[float, float]]:
    clock = Ahead()
    keeper = await opened(config, clock)
    end = keeper.ledger.next_end()
    assert end is not None
    clock.ahead = end - clock.now() - 1.0
    ends = time.monotonic() + SECONDS
    return await _waits(keeper, [work(keeper, ends) for work in (_log_in, _expire)])


async def _judging(config: Config) -> list[tuple[float, float]]:
    clock = Ahead()
    keeper = await opened(config, clock)
    keeper.ledger.replace(terms_of(config.settings), rules_of(config.settings, keeper.ledger.rules.surroundings))
    waited = await _waits(keeper, [keeper.retune()])
    clock.ahead = -SOON
    return waited + await _waits(keeper, [_set_back(keeper)])


async def _waits(keeper: Keeper, works: list[Coroutine[None, None, None]]) -> list[tuple[float, float]]:
    """How long one lookup after the other waited until all that was done."""
    doing = asyncio.gather(*works)
    waited: list[tuple[float, float]] = []
    used, now = time.process_time(), time.perf_counter()
    while not doing.done():
        keeper.find(Address(address(len(waited) % GRANTS)))
        await asyncio.sleep(0)
        then, before = used, now
        used, now = time.process_time(), time.perf_counter()
        waited.append((used - then, now - before))
    await doing
    return waited


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
    """What it gives in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(work, (path,))


def main() -> int:
    topic = Topic(
        "startup",
        "A million grants",
        f"{GRANTS:,} grants in the ledger: the CPU time until all are loaded, checked and judged, against a bare "
        "`SELECT *` of the same table into a dict; private memory for each grant; and how long a lookup waits at most "
        f"while logins come in batches of {BATCH:,} without a rest and {ENDING:,} grants end at once, and while "
        "all are judged anew, as at a reload, and shortened for a clock that was set back.",
    )
    stay_on(last_core())
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        path = house.place / "ledger.db"
        fill(path)
        for _ in range(1 if quick() else 3):
            found["bare"].append(alone(bare, path))
            found["ours"].append(alone(ours, path))
        waited = {"while logins come and grants end": alone(pauses, path), "in a reload": alone(judging, path)}
    topic.add("`SELECT *` into a dict, s of CPU", [taken for taken, _ in found["bare"]], "s")
    topic.add("start, s of CPU", [taken for taken, _ in found["ours"]], "s")
    ratios = [mine[0] / least[0] for mine, least in zip(found["ours"], found["bare"], strict=True)]
    topic.add("start / `SELECT *`", ratios, "times", at_most=4)
    topic.add("private memory for each grant", [size for _, size in found["ours"]], "bytes", at_most=900)
    topic.add("the same of the bare dict", [size for _, size in found["bare"]], "bytes")
    for when, each in waited.items():
        for what, place in (("CPU time", 0), ("the clock", 1)):
            spans = sorted(pause[place] * 1000 for pause in each)
            limit = 20.0 if place == 0 else None
            topic.add(f"longest pause of {len(spans):,} {when}, by {what}", spans[-1], "ms", at_most=limit)
            topic.add(f"the same, 99.9th percentile, by {what}", spans[int(len(spans) * 0.999)], "ms", at_most=limit)
    topic.add("all judged again, and shortened, s by the clock", sum(pause[1] for pause in waited["in a reload"]), "s")
    topic.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
