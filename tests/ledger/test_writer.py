"""One thread writes; what is handed in while a commit runs shares the next one; no failure outlasts its cause."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from poprelay.errors import StoreError
from poprelay.ledger.record import Record, Snapshot
from poprelay.ledger.sqlite import SqliteStore, read_snapshot
from poprelay.ledger.writer import Writer


class Scripted:
    """A store that notes its calls, waits at a gate, and fails when told to."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.threads: set[int] = set()
        self.failure: Exception | None = None
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False

    def load(self) -> Snapshot:
        return Snapshot()

    def commit(self, records: Sequence[Record]) -> None:
        self.threads.add(threading.get_ident())
        self.entered.release()
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        self.commits.append([name for record in records for name in record.positions])

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed = True


def record(name: object) -> Record:
    return Record(positions={str(name): b""})


async def under_way(store: Scripted, writer: Writer) -> asyncio.Task[None]:
    """A commit that has reached the store and waits there."""
    store.gate.clear()
    first = asyncio.create_task(writer.commit(record("first")))
    await asyncio.to_thread(store.entered.acquire)
    return first


async def test_commit_returns_when_its_record_is_durable() -> None:
    store = Scripted()
    writer = Writer(store)
    first = await under_way(store, writer)
    assert not first.done()
    assert store.commits == []
    store.gate.set()
    await first
    assert store.commits == [["first"]]
    await writer.close()


async def test_what_is_handed_in_while_a_commit_runs_shares_the_next_one_in_order() -> None:
    store = Scripted()
    writer = Writer(store)
    first = await under_way(store, writer)
    others = [asyncio.create_task(writer.commit(record(number))) for number in range(50)]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.commits == [["first"], [str(number) for number in range(50)]]
    await writer.close()


async def test_a_failure_reaches_every_waiter_of_its_group_and_no_later_one() -> None:
    store = Scripted()
    writer = Writer(store)
    first = await under_way(store, writer)
    store.failure = StoreError("the disk is full")
    others = [asyncio.create_task(writer.commit(record(number))) for number in range(3)]
    await asyncio.sleep(0)
    store.gate.set()
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert all(isinstance(result, StoreError) for result in results)
    store.failure = None
    await writer.commit(record("later"))
    assert store.commits == [["later"]]
    await writer.close()


async def test_other_work_is_done_on_the_same_thread_after_what_was_handed_in_before() -> None:
    store = Scripted()
    writer = Writer(store)
    first = await under_way(store, writer)
    before = asyncio.create_task(writer.commit(record("before")))
    await asyncio.sleep(0)
    work = asyncio.create_task(writer.run(lambda: (threading.get_ident(), list(store.commits))))
    await asyncio.sleep(0)
    after = asyncio.create_task(writer.commit(record("after")))
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, before, after)
    thread, seen = await work
    assert seen == [["first"], ["before"]]
    await writer.close()
    assert store.threads == {thread}
    assert store.commits == [["first"], ["before"], ["after"]]


async def test_an_error_of_other_work_is_raised_where_it_is_awaited() -> None:
    writer = Writer(Scripted())
    with pytest.raises(ZeroDivisionError):
        await writer.run(lambda: 1 // 0)
    await writer.commit(record("still works"))
    await writer.close()


async def test_closing_writes_what_waits_then_closes_the_store() -> None:
    store = Scripted()
    writer = Writer(store)
    first = await under_way(store, writer)
    others = [asyncio.create_task(writer.commit(record(number))) for number in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    assert not store.closed
    store.gate.set()
    await asyncio.gather(first, *others, closing)
    assert store.commits == [["first"], ["0", "1", "2"]]
    assert store.closed
    await writer.close()


async def test_after_closing_nothing_more_is_taken() -> None:
    writer = Writer(Scripted())
    await writer.close()
    with pytest.raises(StoreError, match="closed"):
        await writer.commit(record("late"))


async def test_a_record_whose_waiter_was_cancelled_is_written_all_the_same() -> None:
    store = Scripted()
    writer = Writer(store)
    first = await under_way(store, writer)
    second = asyncio.create_task(writer.commit(record("second")))
    await asyncio.sleep(0)
    second.cancel()
    store.gate.set()
    await first
    await writer.close()
    assert store.commits == [["first"], ["second"]]
    assert second.cancelled()


async def test_an_idle_writer_uses_no_processor_time() -> None:
    writer = Writer(Scripted())
    before = await writer.run(time.thread_time)
    await asyncio.sleep(0.2)
    assert await writer.run(time.thread_time) - before < 0.02
    await writer.close()


async def test_many_waiters_of_a_real_store_all_find_their_records_there(tmp_path: Path) -> None:
    writer = Writer(SqliteStore(tmp_path / "ledger.db"))
    await asyncio.gather(*(writer.commit(record(number)) for number in range(500)))
    await writer.close()
    assert len(read_snapshot(tmp_path / "ledger.db").positions) == 500
