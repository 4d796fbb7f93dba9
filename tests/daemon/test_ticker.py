"""What happens by the clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from poprelay.daemon import keeper as module
from poprelay.daemon import ticker
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.surroundings import Lookout
from poprelay.daemon.ticker import Ticker
from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger.rules import Surroundings
from poprelay.model import Address, Instant

Tick = Callable[..., Awaitable[asyncio.Task[None]]]


class QuietLookout(Lookout):
    """Sees nothing, without asking anybody."""

    async def look(self) -> Surroundings:
        return Surroundings()


@pytest.fixture
async def tick(keeper: Keeper) -> AsyncIterator[Tick]:
    """Starts a ticker; `tidy` is what it calls for tidying."""
    tasks: list[asyncio.Task[None]] = []

    async def nothing(now: Instant) -> bool:
        return False

    async def begin(tidy: Callable[[Instant], Awaitable[bool]] = nothing) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(Ticker(keeper, QuietLookout(ask_mta=False), tidy).run()))
        await asyncio.sleep(0.01)
        return tasks[-1]

    yield begin
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def allow(keeper: Keeper, *addresses: str, span: float = 60.0) -> None:
    def order(draft: Any) -> None:
        for address in addresses:
            draft.allow(Address(address), "ann", span=span)

    await keeper.open(order)


async def test_a_grant_that_opens_while_it_sleeps_is_closed_at_its_very_end(
    keeper: Keeper, tick: Tick, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(keeper.clock, "now", asyncio.get_running_loop().time)
    await tick()
    await allow(keeper, "9.9.9.9", span=0.05)
    ended = keeper.ledger.next_end()
    assert ended is not None
    await eventually(lambda: keeper.changes["closed", "expired"])
    assert 0 <= keeper.clock.now() - ended < 0.3, "long before the next look"


async def test_many_grants_that_end_at_once_are_closed_in_parts(
    keeper: Keeper, store: Any, tick: Tick, clock: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 10)
    await allow(keeper, *(f"9.9.9.{number}" for number in range(35)))
    clock.at += 60
    await tick()
    await eventually(lambda: keeper.changes["closed", "expired"] == 35)
    assert await keeper.durable()
    assert [len(record.gone) for record in store.records[1:]] == [10, 10, 10, 5]


async def test_resting_positions_are_flushed(
    keeper: Keeper, store: Any, batch: Any, tick: Tick, eventually: Any
) -> None:
    await keeper.take("log", batch(position=b"7"))
    await tick()
    await eventually(lambda: store.rows.positions == {"log": b"7"})


async def test_a_clock_that_was_set_back_stretches_no_grant(
    keeper: Keeper, tick: Tick, clock: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    await allow(keeper, "9.9.9.9")
    clock.at -= 3600
    steps = iter([True])
    monkeypatch.setattr(clock, "stepped_back", lambda: next(steps, False))
    await tick()
    (grant,) = keeper.ledger.grants(clock.at)
    assert grant.until == clock.at + 60


async def test_a_chore_that_fails_is_no_end_of_the_ticker(keeper: Keeper, tick: Tick) -> None:
    async def tidy(now: Instant) -> bool:
        raise StoreError("the disk is full")

    with capture_logs() as said:
        ticking = await tick(tidy)
    assert {"event": "chore failed", "chore": "tidy", "error": "the disk is full", "log_level": "warning"} in said
    assert not ticking.done()


async def test_damage_that_tidying_finds_is_told_to_who_can_help(keeper: Keeper, tick: Tick) -> None:
    async def tidy(now: Instant) -> bool:
        raise StoreDamaged("a row of the ledger's table bundles is damaged", table="bundles")

    await tick(tidy)
    assert keeper.damaged.is_set()


async def test_a_bug_in_a_chore_is_said(keeper: Keeper, tick: Tick) -> None:
    async def tidy(now: Instant) -> bool:
        raise KeyError(now)

    with capture_logs() as said:
        ticking = await tick(tidy)
    assert [(one["event"], one["log_level"]) for one in said] == [("chore failed", "error")]
    assert not ticking.done()


async def test_the_ledger_is_tidied_again_soon_while_more_is_left(
    tick: Tick, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(ticker, "LOOK", 0.005)
    left = 5

    async def tidy(now: Instant) -> bool:
        nonlocal left
        left -= 1
        return left > 0

    await tick(tidy)
    await eventually(lambda: left == 0)
    await asyncio.sleep(0.05)
    assert left == 0, "and then not before its time"


async def test_it_ends_when_cancelled_though_something_changes_at_that_very_moment(keeper: Keeper, tick: Tick) -> None:
    task = await tick()
    keeper.sooner.set()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done == {task}
    assert task.cancelled()
