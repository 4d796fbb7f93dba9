"""Keeps one map equal to the ledger, in a thread of its own, so that a slow disk or command holds up nobody else.

The ledger is asked again for each address at the moment of publishing, so what goes out is always the present state;
the list of addresses to look at is all that is queued.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import structlog

from poprelay.daemon.collector import put_aside
from poprelay.daemon.metrics.timings import Timings
from poprelay.errors import MapError
from poprelay.ledger.ledger import Ledger
from poprelay.ledger.sharded import Sharded
from poprelay.maps import Derived, Entry, Map, Watched
from poprelay.model import Address, Instant

log = structlog.get_logger()

T = TypeVar("T")

SLICE = 1_000
"""Addresses asked for before lookups get a turn."""
CHUNK = 20_000
"""Addresses published at once; between two chunks newer changes are taken in."""


class Publisher:
    """One map and what it has yet to be told. Without `adds` it only removes, as `cleanup` must."""

    def __init__(self, target: Map, ledger: Ledger, now: Callable[[], Instant], *, adds: bool = True) -> None:
        self.map = target
        self.published: Sharded[str, None] | None = None
        """What the map holds as far as we know; None before it was compared with the ledger."""
        self.trouble = ""
        """What the last look found wrong, in one sentence; '' for nothing."""
        self.changes = 0
        self.timings = Timings()
        """How long changes took."""
        self.is_resting = False
        """Whether it waits for the map's interval to pass; otherwise, what is not in step soon cannot be written."""
        self._ledger = ledger
        self._now = now
        self._adds = adds
        self._dirty: dict[str, None] = {}
        self._owes = True
        """Whether the last change failed half way, or was before our time: then an empty one must follow."""
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._hurry = asyncio.Event()
        self._rest_until = 0.0
        self._anew = False
        self._touched = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"map {target.name}")

    def touch(self, addresses: Iterable[str]) -> None:
        """These may have changed: look at them again, soon."""
        self._dirty.update(dict.fromkeys(addresses))
        if self._dirty:
            self._idle.clear()
            self._wake.set()

    def differs(self, address: str, *, allowed: bool) -> bool:
        """Whether the map may not say of this address what is so now."""
        return self.map.wants_renewals or self.published is None or (address in self.published) != allowed

    async def settled(self) -> None:
        """Wait until the map says what the ledger says."""
        await self._idle.wait()

    @property
    def in_step(self) -> bool:
        return self._idle.is_set()

    async def run(self, well: Callable[[], None]) -> None:
        """Compare map and ledger once, then publish what is touched; raises MapError, and may be run again after it."""
        self.published = None
        self._owes = True
        self._idle.clear()
        await self._compare()
        while True:
            if not (self._dirty or self._anew or self._touched):
                well()
                self._idle.set()
                await self._wake.wait()
            self._wake.clear()
            if self._anew:
                await self._again()
            elif self._touched:
                self._owes = True
                await self._compare()
            while self._dirty:
                await self._rest()
                await self._publish()

    def make_anew(self) -> None:
        """Compare with the ledger once more, and let the map make anew what is made from it: an operator asked."""
        self._anew = True
        self._idle.clear()
        self._wake.set()

    async def look(self) -> None:
        """If somebody else has touched the map, compare it with the ledger once more, which also tells what is wrong.

        Waits until it is in step; under way it may differ by our own doing. What only keeps us from looking is kept in
        `trouble`.
        """
        if not isinstance(self.map, Watched):
            return
        await self.settled()
        former, self.trouble = self.trouble, ""
        disturbed = False
        try:
            disturbed = await self._call(self.map.disturbed)
        except MapError as error:
            self.trouble = str(error)
        if self.trouble not in ("", former):
            log.warning("map cannot be looked at; comparing it with the ledger", error=self.trouble)
        elif not disturbed or not self.in_step:
            return
        else:
            log.warning("somebody else has touched the map; comparing it with the ledger", map=self.map.name)
        self._touched = True
        self._idle.clear()
        self._wake.set()

    def hurry(self) -> None:
        """From now on publish at once, whatever the map's interval: the daemon is about to end."""
        self._hurry.set()

    async def _rest(self) -> None:
        """Let the map's interval pass since its last change."""
        pause = self._rest_until - time.monotonic()
        if pause <= 0:
            return
        self.is_resting = True
        try:
            async with asyncio.timeout(pause):
                await self._hurry.wait()
        except TimeoutError:
            pass
        finally:
            self.is_resting = False

    async def _again(self) -> None:
        self._anew, self._owes = False, True  # before, so that what is asked for meanwhile is not lost
        target = self.map
        try:
            if isinstance(target, Derived):
                await self._call(target.make_anew)
        except BaseException:
            self._anew = True
            raise
        await self._compare()

    async def _compare(self) -> None:
        self._touched = False
        self.published = held = await self._call(lambda: _sharded(self.map.keys()))
        put_aside()
        missing = stale = 0
        for number, key in enumerate(chain(self._ledger.addresses(), held), start=1):
            if not number % SLICE:
                await asyncio.sleep(0)
            allowed = self._ledger.allows(Address(key), self._now())
            if allowed != (key in held) or (allowed and self.map.wants_renewals):
                missing += allowed and key not in held
                stale += not allowed and key not in self._dirty
                self._dirty[key] = None
        if missing or stale:
            log.info("map differs from the ledger", map=self.map.name, missing=missing, stale=stale)
        while True:
            await self._publish()
            if not self._dirty:
                return
            await self._rest()

    async def _publish(self) -> None:
        assert self.published is not None
        chunk = self._next_chunk()
        added: list[Entry] = []
        removed: list[str] = []
        now = self._now()
        for number, key in enumerate(chunk, start=1):
            if not number % SLICE:
                await asyncio.sleep(0)
            is_known = key in self.published
            if not self._ledger.allows(Address(key), now):
                if is_known:
                    removed.append(key)
            elif (
                self._adds
                and (self.map.wants_renewals or not is_known)
                and (found := self._ledger.entry(Address(key), now)) is not None
            ):
                added.append(Entry(Address(key), *found))
        if not added and not removed and not self._owes:
            return
        self._owes = True
        with self.timings.measure():
            await self._change(added, removed)
        self._owes = False
        for number, entry in enumerate(added, start=1):
            self.published.shard(entry.address)[entry.address] = None
            if not number % SLICE:
                await asyncio.sleep(0)
        for number, key in enumerate(removed, start=1):
            self.published.shard(key).pop(key, None)
            if not number % SLICE:
                await asyncio.sleep(0)
        if added or removed:
            self.changes += 1
            self._rest_until = time.monotonic() + self.map.interval

    def _next_chunk(self) -> Iterable[str]:
        """Addresses to look at next, taken from the list: all, where they are few or changes must keep apart."""
        if self.map.interval or len(self._dirty) <= CHUNK:
            chunk, self._dirty = self._dirty, {}
            return chunk
        part = list(islice(self._dirty, CHUNK))
        for key in part:
            del self._dirty[key]
        return part

    async def _change(self, added: list[Entry], removed: list[str]) -> None:
        """Publish both; if that fails, at least what takes away: a full disk may have room for that."""
        try:
            await self._call(lambda: self.map.change(added, removed))
        except MapError:
            if added and removed:
                await self._call(lambda: self.map.change((), removed))
            raise

    async def empty(self) -> None:
        """Remove every address from the map, whatever the ledger says; for the end of the daemon."""
        held = await self._call(self.map.keys)
        await self._call(lambda: self.map.change((), held))

    async def close(self, *, by: float | None = None) -> None:
        """Let go of the map, once what is under way has ended; what it holds stays.

        Only at the end of the daemon is that not waited for beyond `by`, by the loop's clock, or a moment if that is
        past: while it lives, another thread may be about to write the same map.
        """
        moment = asyncio.get_running_loop().time() + 1.0
        try:
            async with asyncio.timeout_at(None if by is None else max(by, moment)):
                await self._call(self.map.close)
        except TimeoutError:
            log.error("map hangs, and is left as it is", map=self.map.name)
        finally:
            self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _sharded(keys: set[str]) -> Sharded[str, None]:
    """The same keys, where one more never holds anybody up."""
    found: Sharded[str, None] = Sharded()
    for key in keys:
        found.shard(key)[key] = None
    return found
