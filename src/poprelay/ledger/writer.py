"""The one thread that writes the ledger, and group commit.

Everything that is handed in while a commit runs goes into the next transaction, so that many waiters share one fsync,
and a lone one waits for nothing but its own. A group that fails fails for all of its waiters; the next starts afresh.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from poprelay.errors import StoreError
from poprelay.ledger.record import Record, Snapshot

T = TypeVar("T")


class Store(Protocol):
    """Where the ledger is kept. All three block, and after `load` are called from the writer's thread alone."""

    def load(self) -> Snapshot:
        """Everything that was committed. Raises StoreError; StoreDamaged if it cannot be believed."""
        ...

    def commit(self, records: Sequence[Record]) -> None:
        """Write them all, in this order, or none; returns when they are durable. Raises StoreError."""
        ...

    def close(self) -> None:
        """Let go of it; what was committed stays."""
        ...


class _Job:
    """Something to do on the thread, and who waits for it. A job without `work` commits `records`."""

    __slots__ = ("error", "future", "loop", "records", "work")

    def __init__(self, records: Sequence[Record], work: Callable[[], object] | None) -> None:
        self.records = records
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.error: Exception | None = None


class Writer:
    """Owns a store: writes it in its own thread, and closes it in the end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def commit(self, *records: Record) -> None:
        """Return when the records are durable; raises StoreError if they could not be written, and then none was.

        Records are written in the order of the calls. Once called it is written, even if the waiting is cancelled.
        """
        await self._ask(_Job(records, None))

    async def run(self, work: Callable[[], T]) -> T:
        """Do something else with the store on its thread, after all that was handed in before; return its result."""
        results: list[T] = []
        await self._ask(_Job((), lambda: results.append(work())))
        return results[0]

    async def close(self) -> None:
        """Write what was handed in, close the store, end the thread. Raises StoreError if closing failed."""
        if self._closed:
            return
        job = _Job((), self._store.close)
        self._closed = True
        self._jobs.put(job)
        self._jobs.put(None)
        try:
            await job.future
        finally:
            self._thread.join()

    async def _ask(self, job: _Job) -> None:
        if self._closed:
            raise StoreError("the ledger is closed")
        self._jobs.put(job)
        await job.future

    def _work(self) -> None:
        while True:
            jobs, last = self._take()
            start = 0
            while start < len(jobs):
                group = _group(jobs, start)
                start += len(group)
                self._do(group)
                _deliver(group)
            if last:
                return

    def _take(self) -> tuple[list[_Job], bool]:
        """Wait for a job, and take all that are there; True if there will be no more."""
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True

    def _do(self, group: list[_Job]) -> None:
        try:
            if group[0].work is not None:
                group[0].work()
            else:
                self._store.commit([record for job in group for record in job.records])
        except Exception as error:  # noqa: BLE001  # carried to whoever waits, and raised there
            for job in group:
                job.error = error


def _group(jobs: list[_Job], start: int) -> list[_Job]:
    """The jobs from `start` on that belong together: neighbouring records, or one piece of other work."""
    end = start + 1
    if jobs[start].work is None:
        while end < len(jobs) and jobs[end].work is None:
            end += 1
    return jobs[start:end]


def _deliver(group: list[_Job]) -> None:
    """Wake the waiters, with one call into each event loop."""
    for loop in {job.loop for job in group}:
        mine = [job for job in group if job.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _settle(group: list[_Job]) -> None:
    for job in group:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(None)
        else:
            job.future.set_exception(job.error)
