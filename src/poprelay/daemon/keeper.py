"""Keeps ledger, store and maps in step, in the order that the two sentences demand.

Opening: commit, then publish. Closing: take away, then commit. So a crash at any moment leaves no grant that was not
durable, and none that somebody had closed. While the store cannot commit, nothing opens; closing goes on in memory,
maps and services, and is committed first afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

import structlog
from structlog.typing import FilteringBoundLogger

from poprelay.clock import Clock
from poprelay.daemon.metrics.timings import Timings
from poprelay.daemon.publisher import Publisher
from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Ledger
from poprelay.ledger.reasons import stable
from poprelay.ledger.record import Record
from poprelay.model import Address, Change, Closed, Opened, Outcome, Refused, Renewed, Revocation
from poprelay.sources import Batch

log = structlog.get_logger()

PIECE = 50
"""Events applied, grants closed or addresses looked at before lookups get a turn; most of it may be telling of them."""
LARGE_PIECE = 2_000
"""The same while nobody is answered: at the start, and in a command that finds no daemon."""
TOGETHER = 500
"""Records of what was closed in one commit: they are let go of at once, too, and lookups wait for that."""
RETRY = 0.5
"""Seconds between attempts to commit while the store cannot."""

T = TypeVar("T")
Listener = Callable[[Change], None]


class Committer(Protocol):
    """What makes a record durable: the writer thread of the store."""

    async def commit(self, *records: Record) -> None:
        """Returns when the records are durable, all together; raises StoreError, and then none is."""
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
        self.changes: Counter[tuple[str, str]] = Counter()
        """How many there were, by kind and reason; of what an order closed, without the order's own words."""
        self.stale = 0
        """Logins that were too old to open anything."""
        self.skewed = 0
        """Logins whose stamp lay after the moment of reading."""
        self.commits = Timings()
        self.store_error = ""
        self.damaged = asyncio.Event()
        """Set when the ledger's file turned out to be damaged: only a restart, which sets it aside, can help."""
        self.sooner = asyncio.Event()
        """Set when a grant may now end before the time that the ticker waits for."""
        self._writer = writer
        self._opening = asyncio.Lock()
        self._owed: deque[Record] = deque()
        self._settling: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._resting: dict[str, bytes] = {}
        self._untold: deque[Change] = deque()
        self._starting = ""
        self._unclamped: Iterator[frozenset[Address]] = iter(())

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

        Raises StoreError; then nothing has opened, and the same batch must be handed in again. A batch without events
        has nothing to lose, so its position may wait for the next commit or `flush`. Once begun it runs to its end,
        even if the waiting is cancelled; `idle` waits for that.
        """
        if not batch.events:
            self._resting[source] = self.positions[source] = batch.position
            return
        await self._to_the_end(self._take(source, batch))

    def note(self, name: str, value: bytes) -> None:
        """Keep a value beside the positions, from the next commit on."""
        if self.positions.get(name) != value:
            self._resting[name] = self.positions[name] = value

    async def _take(self, source: str, batch: Batch) -> None:
        async with self._opening:
            draft = self.ledger.draft(self.clock.now())
            for number, event in enumerate(batch.events, start=1):
                draft.take(event, batch.read_at)
                if not number % PIECE:
                    await asyncio.sleep(0)
            self._publish(self.ledger.close(draft))
            resting: dict[str, bytes] = {}

            def record() -> Record:
                resting.update(self._resting)
                return draft.record({**resting, source: batch.position})

            await self._commit_opening(draft, record)
            self.positions[source] = batch.position
            self._resting.pop(source, None)
            self._carried(resting)
            self._accept(draft)
            while self._untold:
                self._tell(PIECE)
                await asyncio.sleep(0)

    async def flush(self) -> None:
        """Commit the positions that no event has carried along; and see if the store, which could not, can commit."""
        if (self._resting or self.store_error) and not self._opening.locked():
            async with self._opening:
                resting: dict[str, bytes] = {}

                def record() -> Record:
                    resting.update(self._resting)
                    return self.ledger.draft(self.clock.now()).record(dict(resting))

                with suppress(StoreError):  # said already, and tried again by the next flush
                    await self._commit(record)
                    self._carried(resting)

    async def open(self, order: Callable[[Draft], None]) -> list[Change]:
        """Carry out what opens grants (`allow`, `standing`): commit, then publish.

        Raises StoreError; then nothing has opened. Once begun it runs to its end, as `take`.
        """
        return await self._to_the_end(self._open(order))

    async def _open(self, order: Callable[[Draft], None]) -> list[Change]:
        async with self._opening:
            draft = self.ledger.draft(self.clock.now())
            order(draft)
            self._publish(self.ledger.close(draft))
            await self._commit_opening(draft, lambda: draft.record({}))
            self._accept(draft)
            self._tell()
            return list(draft.changes)

    def shut(self, order: Callable[[Draft], None]) -> list[Change]:
        """Carry out what closes grants (expiry, revoking): take away now, commit as soon as the store can."""
        draft = self.ledger.draft(self.clock.now())
        order(draft)
        self._publish(self.ledger.close(draft))
        record = draft.record({})
        if not record.is_empty():
            self._owed.append(record)
            self._settled.clear()
            if self._settling is None or self._settling.done():
                self._settling = asyncio.create_task(self._settle(), name="settle")
        self._accept(draft)
        self._tell()
        return list(draft.changes)

    async def retune(self, piece: int = PIECE) -> None:
        """Judge every grant again, at start and reload: nothing opens meanwhile, but lookups get their turns."""
        async with self._opening:
            while self.expire():
                await asyncio.sleep(0)
            self.shut(lambda draft: draft.clamp_rest())
            async for _ in self._judge_all(piece):
                pass
            self.ledger.judged()
            await self.durable()

    async def wipe(self, order: Revocation, piece: int = PIECE) -> deque[tuple[Change, ...]]:
        """Close everything: from now on nothing allows that was opened until now, and what is committed first says so.
        Grants are closed piece by piece, and lookups get their turns. Once begun it runs to its end, as `take`.
        Returns the changes of each piece; take one after the other away, for to let go of all at once takes long."""
        return await self._to_the_end(self._wipe(order, piece))

    async def _wipe(self, order: Revocation, piece: int) -> deque[tuple[Change, ...]]:
        pieces = deque([tuple(self.shut(lambda draft: draft.wipe(order)))])
        async for changes in self._judge_all(piece):
            pieces.append(tuple(changes))  # no lists: the collector need not look into these again
        return pieces

    async def _judge_all(self, piece: int) -> AsyncIterator[list[Change]]:
        """Judge a piece after the other; yields the changes of each."""
        wiped_at = self.ledger.wiped_at
        for addresses in self._pieces(piece):
            yield self.shut(partial(Draft.rejudge, addresses=addresses))
            await asyncio.sleep(0)
        self.ledger.swept(wiped_at)

    def expire(self) -> list[Change]:
        """Close a piece of what has ended; empty if there was none in it."""
        end = self.ledger.next_end()
        if end is None or end > self.clock.now():
            return []
        return self.shut(lambda draft: draft.expire(PIECE))

    def set_back(self) -> None:
        """The clock was set back: nothing may last longer than a period from now. What would allows nothing until
        `clamp` has come to it; who decides by it before sees it as it will be."""
        self.shut(lambda draft: draft.clamp_rest())
        self._unclamped = self._pieces(PIECE)

    def clamp(self) -> bool:
        """Shorten a piece of what the clock made too long; whether that was not all yet."""
        addresses = next(self._unclamped, None)
        if addresses is None:
            return False
        self.shut(lambda draft: draft.clamp(addresses))
        return True

    def _pieces(self, size: int) -> Iterator[frozenset[Address]]:
        addresses = self.ledger.addresses()
        return iter(lambda: frozenset(islice(addresses, size)), frozenset())

    async def durable(self, patience: float = 5.0) -> bool:
        """Wait until what was closed is committed; False if the store cannot at present."""
        try:
            async with asyncio.timeout(patience):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def published(self, patience: float = 5.0) -> bool:
        """Wait until every map says what the ledger says; False if one cannot at present."""
        waits = [asyncio.ensure_future(publisher.settled()) for publisher in self.publishers]
        if not waits:
            return True
        try:
            _, late = await asyncio.wait(waits, timeout=patience)
        finally:
            for wait in waits:
                wait.cancel()
        return not late

    async def idle(self, patience: float | None = 5.0) -> None:
        """Wait until nothing that opens is under way, also what nobody waits for any more."""
        if self._under_way:
            await asyncio.wait(tuple(self._under_way), timeout=patience)

    async def close(self) -> None:
        """Finish what is under way. What cannot be committed now is closed in the maps, and judged again at start; an
        order that cannot be is lost."""
        await self.idle()
        await self.flush()
        await self.durable(2.0)
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])
        for publisher in self.publishers:
            await publisher.close()

    async def _to_the_end(self, work: Coroutine[None, None, T]) -> T:
        """A commit cannot be called back; so what was begun is also accepted, even if nobody waits any more."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def _carried(self, positions: dict[str, bytes]) -> None:
        """These positions are durable; what has moved on since rests until the next commit."""
        self._resting = {name: place for name, place in self._resting.items() if positions.get(name) != place}

    def _accept(self, draft: Draft) -> None:
        self._publish(self.ledger.accept(draft))
        self._untold.extend(draft.changes)
        self.stale += draft.stale
        self.skewed += draft.skewed
        self.sooner.set()

    def _publish(self, touched: Iterable[Address]) -> None:
        for publisher in self.publishers:
            publisher.touch(touched)

    def _tell(self, most: int = sys.maxsize) -> None:
        """Tell of what happened, in its order: all of it, or the next `most`."""
        say = log.bind()  # once: for each change it would take as long as making the grant
        tells_renewals = say.is_enabled_for(logging.DEBUG)
        listeners = tuple(self.listeners)
        for _ in range(min(most, len(self._untold))):
            change = self._untold.popleft()
            if not isinstance(change, Renewed):
                self._tell_of(change, say)
            else:  # most are: without a call
                self.changes["renewed", ""] += 1
                if tells_renewals:
                    grant = change.grant
                    say.debug("grant renewed", address=grant.address, user=grant.user, until=grant.until)
            for listener in listeners:
                listener(change)

    def _tell_of(self, change: Opened | Closed | Refused, say: FilteringBoundLogger) -> None:
        match change:
            case Opened(grant=grant):
                self.changes["opened", ""] += 1
                where = {"address": grant.address, "user": grant.user, "basis": grant.basis}
                say.info("grant opened", **where, until=grant.until, agent=grant.agent)
            case Closed(grant=grant, reason=reason):
                self.changes["closed", stable(reason)] += 1
                say.info("grant closed", address=grant.address, user=grant.user, basis=grant.basis, reason=reason)
            case Refused(address=address, user=user, reason=reason):
                self.changes["refused", reason] += 1
                say.info("login refused", address=address, user=user, reason=reason, agent=change.agent)

    async def _commit(self, record: Callable[[], Record]) -> None:
        """Commit after all that is owed. Raises StoreError.

        The record is asked for when nothing is owed any more, and handed on at once: records must be committed in the
        order in which they were asked for, or what closes a grant could be overtaken by what opens it.
        """
        while not self._settled.is_set():
            if self.store_error:
                raise self._unwritten()
            await self.durable(RETRY)
        if not await self._write(record()):
            raise self._unwritten()

    async def _commit_opening(self, draft: Draft, record: Callable[[], Record]) -> None:
        """The same for a draft that opens; if that fails, nobody is told of what did not open as if it had."""
        try:
            await self._commit(record)
        except StoreError:
            self.ledger.give_up(draft)
            raise

    async def _settle(self) -> None:
        while owed := tuple(islice(self._owed, TOGETHER)):
            if await self._write(*owed):
                for _ in owed:
                    self._owed.popleft()
            else:
                await asyncio.sleep(RETRY)
        self._settled.set()

    async def _write(self, *records: Record) -> bool:
        try:
            with self.commits.measure():
                await self._writer.commit(*records)
        except StoreError as error:
            if isinstance(error, StoreDamaged):
                self.damaged.set()
            self._cannot_write(str(error))
            return False
        except Exception as error:
            if not self.store_error:
                log.exception("record cannot be written")
            self._cannot_write(f"a bug of ours: {error!r}")
            return False
        if self.store_error:
            log.info("ledger can be written again")
            self.store_error = ""
            self._say_available()
        return True

    def _cannot_write(self, why: str) -> None:
        if not self.store_error:
            log.error("ledger cannot be written; nothing opens until it can", error=why)
        self.store_error = why
        self._say_available()

    def _unwritten(self) -> StoreError:
        return StoreError(f"the ledger cannot be written, so nothing was opened: {self.store_error}")

    def _say_available(self) -> None:
        broken = f"the ledger cannot be written: {self.store_error}" if self.store_error else ""
        self.ledger.unavailable = self._starting or broken or None
