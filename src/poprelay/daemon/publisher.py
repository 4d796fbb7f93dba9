"""Keeps one map equal to the ledger, in a thread of its own, so that a slow disk or command holds up nobody else.

The ledger is asked again for each address at the moment of publishing, so what goes out is always the present state;
the list of addresses to look at is all that is queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from poprelay.ledger.ledger import Ledger
from poprelay.maps import Entry, Map
from poprelay.model import Address, Instant

log = structlog.get_logger()

T = TypeVar("T")

CHUNK = 20_000
"""Addresses published at once; between two chunks newer changes are taken in."""


class Publisher:
    """One map and what it has yet to be told. Without `adds` it only removes, as `cleanup` must."""

    def __init__(self, target: Map, ledger: Ledger, now: Callable[[], Instant], *, adds: bool = True) -> None:
        self.map = target
        self.published: set[str] | None = None
        """What the map holds as far as we know; None before it was compared with the ledger."""
        self.changes = 0
        self._ledger = ledger
        self._now = now
        self._adds = adds
        self._dirty: dict[str, None] = {}
        self._owes = True
        """Whether the last change failed half way, or was before our time: then an empty one must follow."""
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"map {target.name}")

    def touch(self, addresses: Iterable[str]) -> None:
        """These may have changed: look at them again, soon."""
        self._dirty.update(dict.fromkeys(addresses))
        if self._dirty:
            self._idle.clear()
            self._wake.set()

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
            if not self._dirty:
                well()
                self._idle.set()
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                await self._publish()
                if self.map.interval and not self._dirty:
                    well()
                    self._idle.set()
                if self.map.interval:
                    await asyncio.sleep(self.map.interval)

    async def _compare(self) -> None:
        held = await self._call(self.map.keys)
        allowed = {grant.address for grant in self._ledger.grants(self._now())}
        differing = held ^ allowed
        if differing:
            log.info(
                "map differs from the ledger", map=self.map.name, missing=len(allowed - held), stale=len(held - allowed)
            )
        self.published = held
        self._dirty.update(dict.fromkeys(allowed if self.map.wants_renewals else differing))
        self._dirty.update(dict.fromkeys(held - allowed))
        while True:
            await self._publish()
            if not self._dirty:
                return

    async def _publish(self) -> None:
        assert self.published is not None
        chunk = [key for key, _ in zip(self._dirty, range(CHUNK), strict=False)]
        for key in chunk:
            del self._dirty[key]
        added: list[Entry] = []
        removed: list[str] = []
        now = self._now()
        for key in chunk:
            found = self._ledger.entry(Address(key), now)
            if found is None:
                if key in self.published:
                    removed.append(key)
            elif self._adds and (self.map.wants_renewals or key not in self.published):
                added.append(Entry(Address(key), *found))
        if not added and not removed and not self._owes:
            return
        self._owes = True
        await self._call(lambda: self.map.change(added, removed))
        self._owes = False
        self.published.update(entry.address for entry in added)
        self.published.difference_update(removed)
        self.changes += 1

    async def empty(self) -> None:
        """Remove every address from the map, whatever the ledger says; for the end of the daemon."""
        held = await self._call(self.map.keys)
        await self._call(lambda: self.map.change((), held))

    async def close(self) -> None:
        """Let go of the map, once what is under way has ended; what it holds stays."""
        await self._call(self.map.close)
        self._thread.shutdown()

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)
