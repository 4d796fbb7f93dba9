"""A publisher keeps its map equal to the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest

from daemon.conftest import MemoryMap
from poprelay.daemon import publisher as module
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.publisher import Publisher
from poprelay.errors import MapError
from poprelay.model import Address

Keep = Callable[..., Awaitable[Publisher]]


@pytest.fixture
async def keep(keeper: Keeper) -> AsyncIterator[Keep]:
    """Begins to keep a map; waits until it is in step, unless `wait` is false."""
    running: list[tuple[Publisher, asyncio.Task[None]]] = []

    async def begin(target: Any, *, adds: bool = True, wait: bool = True) -> Publisher:
        publisher = Publisher(target, keeper.ledger, keeper.clock.now, adds=adds)
        keeper.publishers.append(publisher)
        running.append((publisher, asyncio.create_task(publisher.run(lambda: None))))
        if wait:
            await asyncio.wait_for(publisher.settled(), 5)
        return publisher

    yield begin
    for publisher, task in running:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, MapError):
            await task
        await publisher.close()


@pytest.fixture
def allow(keeper: Keeper) -> Callable[..., Awaitable[object]]:
    async def carry_out(*addresses: str) -> None:
        def order(draft: Any) -> None:
            for address in addresses:
                draft.allow(Address(address), "ann", span=60.0)

        await keeper.open(order)

    return carry_out


def asked(target: Any) -> list[Any]:
    """What was changed, without the empty changes."""
    return [change for change in target.asked if change != ([], [])]


async def test_at_start_what_is_missing_is_added_and_what_is_not_allowed_is_removed(
    keep: Keep, allow: Any, memory_map: Any
) -> None:
    await allow("9.9.9.9", "8.8.4.4")
    target = memory_map("8.8.4.4", "1.1.1.1", "192.0.2", "\0# a person's line")
    publisher = await keep(target)
    assert target.held == {"9.9.9.9", "8.8.4.4"}
    assert asked(target) == [(["9.9.9.9"], ["\0# a person's line", "1.1.1.1", "192.0.2"])]
    assert set(publisher.published or ()) == target.held


async def test_what_a_map_holds_is_known_in_pieces_none_of_which_grows_long(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper
) -> None:
    target = memory_map(*(f"9.9.{number >> 8}.{number & 255}" for number in range(5_000)))
    await allow(*target.held)
    publisher = await keep(target)
    await allow("8.8.4.4")
    assert await keeper.published()
    assert publisher.published is not None
    assert set(publisher.published) == target.held
    assert max(map(len, publisher.published.shards)) < 50


async def test_a_change_of_the_ledger_goes_out_and_nothing_else_does(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper, clock: Any
) -> None:
    await allow("9.9.9.9")
    target = memory_map("9.9.9.9")
    await keep(target)
    await allow("8.8.4.4")
    assert await keeper.published()
    clock.at += 61
    keeper.shut(lambda draft: draft.expire())
    assert await keeper.published()
    assert asked(target) == [(["8.8.4.4"], []), ([], ["8.8.4.4", "9.9.9.9"])]


async def test_renewals_go_only_to_a_map_that_wants_them(
    keep: Keep, allow: Any, memory_map: Any, renewing_map: Any, keeper: Keeper, clock: Any
) -> None:
    plain, renewing = memory_map("9.9.9.9"), renewing_map("9.9.9.9")
    await allow("9.9.9.9")
    await keep(plain)
    await keep(renewing)
    clock.at += 7
    await allow("9.9.9.9")
    assert await keeper.published()
    assert asked(plain) == []
    assert asked(renewing) == [(["9.9.9.9"], []), (["9.9.9.9"], [])]
    assert [entry.last_login for entry in renewing.entries] == [clock.at - 7, clock.at]


async def test_without_adds_a_map_only_loses(keep: Keep, allow: Any, memory_map: Any, keeper: Keeper) -> None:
    await allow("9.9.9.9")
    target = memory_map("1.1.1.1")
    await keep(target, adds=False)
    await allow("8.8.4.4")
    assert await keeper.published()
    assert target.held == set()
    assert asked(target) == [([], ["1.1.1.1"])]


async def test_an_empty_change_is_owed_at_start_and_not_again(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper
) -> None:
    target = memory_map()
    publisher = await keep(target)
    assert target.asked == [([], [])]
    publisher.touch(["9.9.9.9"])
    await publisher.settled()
    assert target.asked == [([], [])]


async def test_a_failure_is_raised_and_the_next_run_compares_again_and_owes_a_change(
    keeper: Keeper, allow: Any, memory_map: Any
) -> None:
    target = memory_map("1.1.1.1")
    publisher = Publisher(target, keeper.ledger, keeper.clock.now)
    keeper.publishers.append(publisher)
    target.failures = 1
    with pytest.raises(MapError, match="disk is full"):
        await publisher.run(lambda: None)
    assert not publisher.in_step
    target.held = set()  # somebody mended it by hand
    running = asyncio.create_task(publisher.run(lambda: None))
    await asyncio.wait_for(publisher.settled(), 5)
    assert target.asked == [([], [])]
    target.failures = 1
    await allow("9.9.9.9")
    with pytest.raises(MapError):
        await running
    assert not publisher.in_step
    running = asyncio.create_task(publisher.run(lambda: None))
    await asyncio.wait_for(publisher.settled(), 5)
    assert target.held == {"9.9.9.9"}
    running.cancel()
    await asyncio.wait([running])
    await publisher.close()


async def test_the_interval_keeps_changes_apart_but_the_first_after_quiet_goes_out_at_once(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper, eventually: Any
) -> None:
    target = memory_map(interval=0.2)
    publisher = await keep(target)
    loop = asyncio.get_running_loop()
    times: list[float] = []
    target.before_change = lambda: times.append(loop.time())
    began = loop.time()
    await allow("9.9.9.9")
    await eventually(lambda: target.held)
    assert times[0] - began < 0.15
    assert await keeper.published(), "it is in step though the interval runs"
    for address in ("1.1.1.1", "1.1.1.2", "1.1.1.3"):
        await allow(address)
    assert not publisher.in_step
    await eventually(lambda: publisher.is_resting)
    assert await keeper.published()
    assert [added for added, _ in asked(target)] == [["9.9.9.9"], ["1.1.1.1", "1.1.1.2", "1.1.1.3"]]
    assert times[1] - times[0] >= 0.19


async def test_the_interval_counts_from_what_was_changed_at_start(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper
) -> None:
    target = memory_map("1.1.1.1", interval=0.2)
    loop = asyncio.get_running_loop()
    times: list[float] = []
    target.before_change = lambda: times.append(loop.time())
    await keep(target)
    await allow("9.9.9.9")
    assert await keeper.published()
    assert times[1] - times[0] >= 0.19


async def test_at_the_end_of_the_daemon_nothing_waits_for_the_interval(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper
) -> None:
    target = memory_map(interval=3600.0)
    publisher = await keep(target)
    await allow("9.9.9.9")
    assert await keeper.published()
    await allow("8.8.4.4")
    assert not publisher.in_step
    publisher.hurry()
    assert await keeper.published()
    assert target.held == {"9.9.9.9", "8.8.4.4"}


async def test_what_changes_while_a_change_is_published_is_not_lost(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper, clock: Any
) -> None:
    target = memory_map()
    publisher = await keep(target)
    loop = asyncio.get_running_loop()

    def meanwhile() -> None:
        if not target.held:
            target.held.add("")
            asyncio.run_coroutine_threadsafe(allow("8.8.4.4"), loop).result(5)
            target.held.discard("")

    target.before_change = meanwhile
    await allow("9.9.9.9")
    await asyncio.wait_for(publisher.settled(), 5)
    assert target.held == {"9.9.9.9", "8.8.4.4"}


async def test_it_is_not_in_step_before_the_map_has_taken_the_change(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper
) -> None:
    target = memory_map()
    publisher = await keep(target)
    seen: list[bool] = []
    target.before_change = lambda: seen.append(publisher.in_step)
    await allow("9.9.9.9")
    assert not publisher.in_step
    assert await keeper.published()
    assert seen == [False]


async def test_a_grant_that_has_ended_is_not_published_though_nobody_has_expired_it_yet(
    keep: Keep, allow: Any, memory_map: Any, clock: Any
) -> None:
    await allow("9.9.9.9")
    clock.at += 61
    target = memory_map("9.9.9.9")
    await keep(target)
    assert target.held == set()


async def test_many_addresses_go_out_in_parts_so_that_what_is_newer_need_not_wait(
    keep: Keep, memory_map: Any, keeper: Keeper, allow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 10)
    await allow(*_many(25))
    target = memory_map()
    await keep(target)
    assert [len(added) for added, _ in asked(target)] == [10, 10, 5]


async def test_with_an_interval_many_addresses_go_out_in_one_change(
    keep: Keep, memory_map: Any, keeper: Keeper, allow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 10)
    await allow(*_many(25))
    target = memory_map(interval=60.0)
    await keep(target)
    assert [len(added) for added, _ in asked(target)] == [25]


async def test_emptying_removes_everything_whatever_the_ledger_says(keep: Keep, allow: Any, memory_map: Any) -> None:
    await allow("9.9.9.9")
    target = memory_map()
    publisher = await keep(target)
    target.held.add("1.1.1.1")
    await publisher.empty()
    assert target.held == set()


def _many(count: int) -> Iterable[str]:
    return (f"9.9.9.{number}" for number in range(1, count + 1))


async def test_a_change_that_fails_still_takes_away_what_must_go(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper
) -> None:
    target = memory_map("1.1.1.1")
    await allow("9.9.9.9")
    target.failures = 1
    publisher = await keep(target, wait=False)
    until_removed = asyncio.get_running_loop().time() + 5
    while "1.1.1.1" in target.held and asyncio.get_running_loop().time() < until_removed:
        await asyncio.sleep(0.001)
    assert target.held == set(), "nothing was added, for that failed"
    assert not publisher.in_step


async def test_a_look_waits_until_the_map_is_in_step(keep: Keep, allow: Any, memory_map: Any, keeper: Keeper) -> None:
    target = memory_map(interval=0.05)
    looked: list[set[str]] = []

    def disturbed() -> bool:
        looked.append(set(target.held))
        return False

    target.disturbed = disturbed
    publisher = await keep(target)
    for address in ("9.9.9.9", "8.8.4.4"):
        await allow(address)
    await publisher.look()
    assert looked == [{"9.9.9.9", "8.8.4.4"}]


async def test_what_keeps_us_from_looking_at_a_map_is_told_until_it_is_mended(
    keep: Keep, allow: Any, memory_map: Any, keeper: Keeper
) -> None:
    target = memory_map()
    mended: list[int] = []

    def disturbed() -> bool:
        if not mended:
            raise MapError("memory: permission denied")
        return False

    target.disturbed = disturbed
    publisher = await keep(target)
    target.held.add("1.1.1.1")
    await publisher.look()
    assert publisher.trouble == "memory: permission denied"
    assert await keeper.published()
    assert target.held == set(), "it was compared with the ledger"
    mended.append(1)
    await publisher.look()
    assert publisher.trouble == ""


class DerivedMap(MemoryMap):
    """Made anew by a command, before which `before_made` is called."""

    def __init__(self, *held: str) -> None:
        super().__init__(*held)
        self.made = 0
        self.before_made: Callable[[], None] = lambda: None

    def make_anew(self) -> None:
        self.before_made()
        self.made += 1


async def test_what_could_not_be_made_anew_is_made_anew_by_the_next_run(keeper: Keeper) -> None:
    target = DerivedMap("1.1.1.1")

    def missing() -> None:
        raise MapError("memory: no such file")

    target.before_made = missing
    publisher = Publisher(target, keeper.ledger, keeper.clock.now)
    publisher.make_anew()
    for _ in range(2):
        with pytest.raises(MapError, match="no such file"):
            await asyncio.wait_for(publisher.run(lambda: pytest.fail("all is not well")), 5)
        assert not publisher.in_step
    assert target.held == set(), "what must go has gone all the same"
    target.before_made = lambda: None
    running = asyncio.create_task(publisher.run(lambda: None))
    await asyncio.wait_for(publisher.settled(), 5)
    assert target.made == 1
    running.cancel()
    await asyncio.wait([running])
    await publisher.close()


async def test_who_asks_while_the_map_is_made_anew_gets_it_made_once_more(keep: Keep, eventually: Any) -> None:
    target = DerivedMap()
    publisher = await keep(target)
    loop = asyncio.get_running_loop()

    def meanwhile() -> None:
        if not target.made:
            asyncio.run_coroutine_threadsafe(_ask(publisher), loop).result(5)

    target.before_made = meanwhile
    publisher.make_anew()
    await asyncio.wait_for(publisher.settled(), 5)
    assert target.made == 2


async def test_it_is_not_in_step_while_it_has_yet_to_be_made_anew(keeper: Keeper) -> None:
    target = DerivedMap()
    publisher = Publisher(target, keeper.ledger, keeper.clock.now)
    loop = asyncio.get_running_loop()
    made: list[int] = []

    def first() -> None:
        if not target.asked:
            asyncio.run_coroutine_threadsafe(_ask(publisher), loop).result(5)

    target.before_change = first
    running = asyncio.create_task(publisher.run(lambda: made.append(target.made)))
    await asyncio.wait_for(publisher.settled(), 5)
    assert made == [1], "it was said to be well only then"
    running.cancel()
    await asyncio.wait([running])
    await publisher.close()


async def _ask(publisher: Publisher) -> None:
    publisher.make_anew()


async def test_what_is_under_way_in_a_map_is_waited_for_but_not_beyond_the_end_of_the_daemon(
    keeper: Keeper, memory_map: Any, eventually: Any
) -> None:
    loop, begun, goes_on = asyncio.get_running_loop(), threading.Semaphore(0), threading.Event()
    target = memory_map("9.9.9.9")

    def hang() -> None:
        begun.release()
        goes_on.wait(10)

    target.before_change = hang
    at_a_reload, at_the_end = (Publisher(target, keeper.ledger, keeper.clock.now) for _ in range(2))
    emptied = asyncio.gather(at_a_reload.empty(), at_the_end.empty())
    for _ in range(2):
        await eventually(lambda: begun.acquire(blocking=False))
    closed = asyncio.create_task(at_a_reload.close())
    await asyncio.wait_for(at_the_end.close(by=loop.time() + 0.05), 5)
    assert not closed.done()
    goes_on.set()
    await asyncio.wait_for(asyncio.gather(emptied, closed), 5)
    assert target.held == set()
