"""Keeps ledger, store and maps in step, in the order that the two sentences demand.

Opening: commit, then publish. Closing: take away, then commit. So a crash at any moment leaves no grant that was not
durable, and none that somebody had closed. While the store cannot commit, nothing opens; closing goes on in memory,
maps and services, and is committed first afterwards.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from poprelay.clock import Clock
from poprelay.daemon.publisher import Publisher
from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Ledger
from poprelay.ledger.record import Record
from poprelay.model import Address, Change, Closed, Login, Opened, Outcome, Refused, Renewed
from poprelay.sources import Batch

log = structlog.get_logger()

SLICE = 200
"""Events applied before lookups get a turn."""
RETRY = 0.5
"""Seconds between attempts to commit while the store cannot."""

Listener = Callable[[Change], None]


class Committer(Protocol):
    """What makes a record durable: the writer thread of the store."""

    async def commit(self, record: Record) -> None:
        """Returns when the record is durable; raises StoreError."""
        ...


class Keeper:
    """The ledger with its store, its maps, and whoever wants to hear of changes."""

    def __init__(self, ledger: Ledger, writer: Committer, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.publishers: list[Publisher] = []
        self.positions: dict[str, bytes] = {}
        """Where reading stands, for each source."""
        self.listeners: set[Listener] = set()
        self.counts: dict[str, int] = {"opened": 0, "renewed": 0, "closed": 0, "refused": 0, "stale": 0}
        self.store_error = ""
        self.damaged = asyncio.Event()
        """Set when the ledger's file turned out to be damaged: only a restart, which sets it aside, can help."""
        self.sooner = asyncio.Event()
        """Set when a grant may now end before the time that the ticker waits for."""
        self._writer = writer
        self._opening = asyncio.Lock()
        self._owed: deque[Record] = deque()
        self._settling: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._settled.set()
        self._resting: dict[str, bytes] = {}
        self._starting = ""

    def find(self, address: Address) -> Outcome:
        """What services ask: may this address relay, now?"""
        return self.ledger.find(address, self.clock.now())

    def starting(self, why: str) -> None:
        """Until `started`, an address without a plainly live grant is answered 'cannot tell'."""
        self._starting = why
        self._say_available()

    def started(self) -> None:
        self.starting("")

    @property
    def is_starting(self) -> bool:
        return bool(self._starting)

    async def take(self, source: str, batch: Batch) -> None:
        """Let a batch's events take effect, durably, together with the position; returns when that is done.

        While the store cannot commit it waits and tries again: the batch stays unacknowledged, nothing opens. A batch
        without events has nothing to lose, so its position may wait for the next commit or `flush`.
        """
        if not batch.events:
            self._resting[source] = self.positions[source] = batch.position
            return
        async with self._opening:
            while True:
                draft = self.ledger.draft(self.clock.now())
                for number, event in enumerate(batch.events, start=1):
                    if isinstance(event, Login):
                        draft.login(event, batch.read_at)
                    else:
                        draft.logout(event, batch.read_at)
                    if not number % SLICE:
                        await asyncio.sleep(0)
                self._publish(self.ledger.close(draft))
                if await self._commit(draft.record({**self._resting, source: batch.position})):
                    break
                await asyncio.sleep(RETRY)
            self._resting.pop(source, None)
            self.positions[source] = batch.position
            self._accept(draft)

    async def flush(self) -> None:
        """Commit the positions that no event has carried along."""
        if self._resting and not self._opening.locked():
            async with self._opening:
                resting = dict(self._resting)
                if await self._commit(self.ledger.draft(self.clock.now()).record(resting)):
                    self._resting = {name: place for name, place in self._resting.items() if resting.get(name) != place}

    async def open(self, order: Callable[[Draft], None]) -> list[Change]:
        """Carry out what opens grants (`allow`, `standing`): commit, then publish.

        Raises StoreError; then nothing has opened.
        """
        async with self._opening:
            draft = self.ledger.draft(self.clock.now())
            order(draft)
            self._publish(self.ledger.close(draft))
            if not await self._commit(draft.record({})):
                raise StoreError(f"the ledger cannot be written, so nothing was opened: {self.store_error}")
            return self._accept(draft)

    def shut(self, order: Callable[[Draft], None]) -> list[Change]:
        """Carry out what closes grants (expiry, revoking): take away now, commit as soon as the store can."""
        draft = self.ledger.draft(self.clock.now())
        order(draft)
        self._publish(self.ledger.close(draft))
        record = draft.record({})
        changes = self._accept(draft)
        if not record.is_empty():
            self._owed.append(record)
            self._settled.clear()
            if self._settling is None or self._settling.done():
                self._settling = asyncio.create_task(self._settle(), name="settle")
        return changes

    async def retune(self, order: Callable[[Draft], None]) -> None:
        """Judge every grant again, at start and reload: no batch is under way meanwhile."""
        async with self._opening:
            self.shut(order)
            await self.durable()

    async def durable(self, patience: float = 5.0) -> bool:
        """Wait until what was closed is committed; False if the store cannot at present."""
        try:
            await asyncio.wait_for(self._settled.wait(), patience)
        except TimeoutError:
            return False
        return True

    async def published(self, patience: float = 5.0) -> bool:
        """Wait until every map says what the ledger says; False if one cannot at present."""
        waits = [asyncio.ensure_future(publisher.settled()) for publisher in self.publishers]
        if not waits:
            return True
        _, late = await asyncio.wait(waits, timeout=patience)
        for wait in late:
            wait.cancel()
        return not late

    async def close(self) -> None:
        """Finish what is under way. What cannot be committed now is closed in the maps, and judged again at start."""
        await self.flush()
        await self.durable(2.0)
        if self._settling is not None:
            self._settling.cancel()
        for publisher in self.publishers:
            await publisher.close()

    def _accept(self, draft: Draft) -> list[Change]:
        self._publish(self.ledger.accept(draft))
        for change in draft.changes:
            self._tell(change)
        self.counts["stale"] += draft.stale
        self.sooner.set()
        return list(draft.changes)

    def _publish(self, touched: Iterable[Address]) -> None:
        for publisher in self.publishers:
            publisher.touch(touched)

    def _tell(self, change: Change) -> None:
        match change:
            case Opened(grant=grant):
                self.counts["opened"] += 1
                log.info(
                    "grant opened",
                    address=grant.address,
                    user=grant.user,
                    basis=grant.basis,
                    until=grant.until,
                    agent=grant.agent,
                )
            case Renewed(grant=grant):
                self.counts["renewed"] += 1
                log.debug("grant renewed", address=grant.address, user=grant.user, until=grant.until)
            case Closed(grant=grant, reason=reason):
                self.counts["closed"] += 1
                log.info("grant closed", address=grant.address, user=grant.user, basis=grant.basis, reason=reason)
            case Refused(address=address, user=user, reason=reason):
                self.counts["refused"] += 1
                log.info("login refused", address=address, user=user, reason=reason, agent=change.agent)
        for listener in tuple(self.listeners):
            listener(change)

    async def _commit(self, record: Record) -> bool:
        """Commit after all that is owed; False while the store cannot."""
        while not self._settled.is_set():
            if self.store_error:
                return False
            await asyncio.wait([asyncio.ensure_future(self._settled.wait())], timeout=RETRY)
        return await self._write(record)

    async def _settle(self) -> None:
        while self._owed:
            if await self._write(self._owed[0]):
                self._owed.popleft()
            else:
                await asyncio.sleep(RETRY)
        self._settled.set()

    async def _write(self, record: Record) -> bool:
        try:
            await self._writer.commit(record)
        except StoreError as error:
            if isinstance(error, StoreDamaged):
                self.damaged.set()
            if not self.store_error:
                log.error("ledger cannot be written; nothing opens until it can", error=str(error))
            self.store_error = str(error)
            self._say_available()
            return False
        if self.store_error:
            log.info("ledger can be written again")
            self.store_error = ""
            self._say_available()
        return True

    def _say_available(self) -> None:
        broken = f"the ledger cannot be written: {self.store_error}" if self.store_error else ""
        self.ledger.unavailable = self._starting or broken or None
