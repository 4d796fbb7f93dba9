"""Hands one source's batches to the keeper, and remembers what `status` says about the source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec

from poprelay.daemon.collector import look_at_new
from poprelay.daemon.keeper import RETRY, Keeper
from poprelay.errors import StoreError
from poprelay.model import Instant, Login
from poprelay.sources import Batch, Observable, Source
from poprelay.spans import rfc3339

SKEW = 300.0
"""Seconds by which the stamp of a fresh line may be off before it is called skew."""


class Numbers(msgspec.Struct):
    """What one source has brought since the daemon started."""

    lines: int = 0
    logins: int = 0
    logouts: int = 0
    cut: int = 0
    unmatched: int = 0
    last_line: Instant | None = None
    last_read: Instant | None = None
    last_login: Instant | None = None
    skew: float = 0.0
    agents: dict[str, int] = msgspec.field(default_factory=dict)
    """Logins by the agent that saw them."""


class Follower:
    """One source on its way into the ledger."""

    def __init__(self, source: Source, keeper: Keeper, *, at_end: Callable[[], bool] = lambda: False) -> None:
        """`at_end` says whether a source without a position begins at its end."""
        self.source = source
        self.numbers = Numbers()
        self.caught_up = asyncio.Event()
        self._keeper = keeper
        self._at_end = at_end
        self._quiet = False
        self._current_at: float | None = None

    async def run(self, well: Callable[[], None]) -> None:
        """Follow from the last committed position; raises SourceError, and may be run again after it."""
        fresh = False
        await self._keeper.idle(None)  # what another follower of it has handed in moves the position
        position = self._keeper.positions.get(self.source.name)
        batches = self.source.batches(position, at_end=self._at_end())
        try:
            async for batch in batches:
                self._quiet = False  # what it says counts only once it is committed
                await self._hand_in(batch)
                self._count(batch, fresh=fresh)
                look_at_new()
                well()
                fresh = self._quiet = batch.caught_up
                if batch.caught_up:
                    self._current_at = self._keeper.clock.monotonic()
                    self.caught_up.set()
        finally:
            self._quiet = False
            if isinstance(batches, AsyncGenerator):  # lets go of its files now, not when it is collected
                await batches.aclose()
        self.caught_up.set()

    async def _hand_in(self, batch: Batch) -> None:
        """Until the store has committed it; meanwhile the batch stays unacknowledged, and reading stands."""
        while True:
            try:
                await self._keeper.take(self.source.name, batch)
            except StoreError:
                await asyncio.sleep(RETRY)
            else:
                return

    def current_at(self) -> float | None:
        """When its log was last read up to then, by the monotonic clock; None: never yet."""
        if self._quiet and self.condition().get("state") not in ("missing", "hanging"):
            self._current_at = self._keeper.clock.monotonic()
        return self._current_at

    def condition(self) -> dict[str, object]:
        """What the source itself says of how it is."""
        return self.source.state() if isinstance(self.source, Observable) else {}

    def row(self) -> dict[str, object]:
        """For `status`."""
        numbers = self.numbers
        return {
            "lines": numbers.lines,
            "logins": numbers.logins,
            "agents": numbers.agents,
            "logouts": numbers.logouts,
            "cut": numbers.cut,
            "unmatched": numbers.unmatched,
            "last_line": rfc3339(numbers.last_line),
            "last_read": rfc3339(numbers.last_read),
            "last_login": rfc3339(numbers.last_login),
            "skew": round(numbers.skew, 1),
            "caught_up": self.caught_up.is_set(),
            **self.condition(),
        }

    def _count(self, batch: Batch, *, fresh: bool) -> None:
        numbers = self.numbers
        numbers.lines += batch.lines
        numbers.cut += batch.cut
        numbers.unmatched += batch.unmatched
        for event in batch.events:
            if isinstance(event, Login):
                numbers.logins += 1
                numbers.agents[event.agent] = numbers.agents.get(event.agent, 0) + 1
                numbers.last_login = event.at
            else:
                numbers.logouts += 1
        if batch.lines:
            numbers.last_read = batch.read_at
        if batch.newest is not None:
            numbers.last_line = batch.newest
            if fresh:
                off = batch.newest - batch.read_at
                numbers.skew = off if abs(off) > SKEW else 0.0
