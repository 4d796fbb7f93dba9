"""What happens by the clock: expiry at its very instant, and twice a second a look at everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from poprelay.daemon import systemd
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.surroundings import EVERY, Lookout
from poprelay.errors import PoprelayError, StoreDamaged
from poprelay.model import Instant

log = structlog.get_logger()

LOOK = 0.5
"""Seconds between two looks at the wall clock, which may be set: what ends by that has to be gone within a second."""
TIDY_EVERY = 60.0
"""Seconds between two tidyings of the ledger: by what comes in between its history may exceed its bounds."""


class Ticker:
    """Wakes when a grant ends, and at least every `LOOK` seconds."""

    def __init__(
        self,
        keeper: Keeper,
        lookout: Lookout,
        tidy: Callable[[Instant], Awaitable[bool]],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`tidy` says whether it has more to do, and is then called again at the next look."""
        self._keeper = keeper
        self._lookout = lookout
        self._tidy = tidy
        self._beat = beat
        self._chores: dict[str, asyncio.Task[None]] = {}
        self._is_behind = False
        self._next_look = 0.0
        self._next_tidying = 0.0

    async def run(self) -> None:
        """Tick until cancelled."""
        try:
            while True:
                self.tick()
                await self._sleep()
        finally:
            for chore in self._chores.values():
                chore.cancel()

    def tick(self) -> None:
        """Close what has ended, and start whatever is due; never waits."""
        keeper, clock = self._keeper, self._keeper.clock
        if clock.stepped_back():
            log.warning("clock was set back; what is live lasts no longer than a period from now")
            keeper.set_back()
        self._is_behind = keeper.clamp()
        keeper.expire()
        self._beat()
        mono = clock.monotonic()
        self._chore("flush", keeper.flush)
        for publisher in keeper.publishers:
            self._chore(f"look at map {publisher.map.name}", publisher.look)
        if mono >= self._next_look:
            self._next_look = mono + EVERY
            self._chore("look", self._look)
        if mono >= self._next_tidying:
            self._next_tidying = mono + TIDY_EVERY
            self._chore("tidy", self._tidy_up)
        systemd.notify("WATCHDOG=1")

    async def _look(self) -> None:
        self._keeper.ledger.rules.surroundings = await self._lookout.look()

    async def _tidy_up(self) -> None:
        try:
            if await self._tidy(self._keeper.clock.now()):
                self._next_tidying = 0.0
        except StoreDamaged:
            self._keeper.damaged.set()
            raise

    def _chore(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        running = self._chores.get(name)
        if running is None or running.done():
            self._chores[name] = asyncio.create_task(_carry_out(name, run))

    async def _sleep(self) -> None:
        keeper, clock = self._keeper, self._keeper.clock
        look_at = clock.monotonic() + (0.0 if self._is_behind else LOOK)
        while True:
            keeper.sooner.clear()
            pause = look_at - clock.monotonic()
            end = keeper.ledger.next_end()
            if end is not None:
                pause = min(pause, end - clock.now())
            if pause <= 0:
                await asyncio.sleep(0)
                return
            try:
                async with asyncio.timeout(pause):  # wait_for of Python 3.11 may lose a cancellation
                    await keeper.sooner.wait()
            except TimeoutError:
                return


async def _carry_out(name: str, run: Callable[[], Awaitable[None]]) -> None:
    try:
        await run()
    except PoprelayError as error:
        log.warning("chore failed", chore=name, error=str(error))
    except Exception:  # a bug below: nobody waits for this task, so it is said here, at once
        log.exception("chore failed", chore=name)
