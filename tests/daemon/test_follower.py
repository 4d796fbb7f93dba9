"""One source on its way into the ledger."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

from poprelay.daemon.follower import Follower
from poprelay.daemon.keeper import Keeper
from poprelay.sources import Batch


class Log:
    """A source with one batch, which is read from no position only."""

    name = "mail.log"

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.begun: list[tuple[bytes | None, bool]] = []

    def has_begun(self, times: int) -> bool:
        return len(self.begun) == times

    async def batches(self, position: bytes | None, *, at_end: bool = False) -> AsyncIterator[Batch]:
        self.begun.append((position, at_end))
        if position is None:
            yield self.batch
        await asyncio.Event().wait()


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_who_follows_a_source_next_begins_where_a_commit_under_way_will_have_come_to(
    keeper: Keeper, store: Any, batch: Any, login: Any, eventually: Any
) -> None:
    log = Log(batch(login()))
    store.hold()
    first = asyncio.create_task(Follower(log, keeper).run(lambda: None))
    await eventually(lambda: store.asked)
    await ended(first)
    second = asyncio.create_task(Follower(log, keeper).run(lambda: None))
    await asyncio.sleep(0.01)
    assert log.begun == [(None, False)], "nobody knows yet where"
    store.release()
    await eventually(lambda: len(log.begun) == 2)
    assert log.begun[1] == (b"1", False)
    await ended(second)
    assert keeper.changes == {("opened", ""): 1}


async def test_whether_it_begins_at_its_end_is_asked_when_it_begins(
    keeper: Keeper, batch: Any, eventually: Any
) -> None:
    answers = [True, False]
    log = Log(batch(caught_up=True))
    follower = Follower(log, keeper, at_end=lambda: answers.pop(0))
    for left in (1, 0):
        running = asyncio.create_task(follower.run(lambda: None))
        await eventually(partial(log.has_begun, 2 - left))
        await ended(running)
        keeper.positions.clear()
    assert log.begun == [(None, True), (None, False)]


async def test_the_collector_looks_at_what_a_batch_brought_before_the_next_brings_more(
    keeper: Keeper, batch: Any, login: Any, eventually: Any
) -> None:
    is_new: list[bool] = []

    class Watching(Log):
        async def batches(self, position: bytes | None, *, at_end: bool = False) -> AsyncIterator[Batch]:
            is_new.append(any(one is brought for one in gc.get_objects(generation=0)))
            yield brought[0]
            is_new.append(any(one is brought for one in gc.get_objects(generation=0)))
            await asyncio.Event().wait()

    gc.collect()
    gc.disable()  # it looks by itself only when there is far more than before
    try:
        brought = [batch(login())]
        following = asyncio.create_task(Follower(Watching(brought[0]), keeper).run(lambda: None))
        await eventually(lambda: len(is_new) == 2)
        await ended(following)
    finally:
        gc.enable()
    assert is_new == [True, False]
