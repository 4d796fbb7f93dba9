"""Keeps tasks running: starts each again after a failure, with capped backoff, and says how each one is.

Sources, maps and services do not retry by themselves; they raise, and the supervisor decides. What went wrong stays
visible in `status` until the task has run well again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import msgspec
import structlog

from poprelay.clock import Clock
from poprelay.errors import PoprelayError
from poprelay.model import Instant

log = structlog.get_logger()

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
STEADY = 60.0
"""Seconds of running after which earlier failures are forgotten."""

Condition: TypeAlias = Literal["starting", "running", "waiting", "failed", "ended"]


class Health(msgspec.Struct):
    """How one supervised task is. `error` is the last failure, in one sentence; '' when it runs well.

    `remedy` is the end of that sentence which says the next step, if one is known.
    """

    name: str
    condition: Condition = "starting"
    since: Instant = 0.0
    failures: int = 0
    error: str = ""
    remedy: str = ""

    @property
    def well(self) -> bool:
        return not self.error


class Supervisor:
    """Runs named tasks until they end by themselves or are stopped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._health: dict[str, Health] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]], *, longest: float = LONGEST_PAUSE) -> Health:
        """Run `run` under `name`, again and again while it fails. It ends when `run` returns.

        No pause exceeds `longest` seconds. A task calls `well(name)` once it really works, or is taken to
        work after `STEADY` seconds.
        """
        health = self._health[name] = Health(name, since=self._clock.now())
        self._tasks[name] = asyncio.create_task(self._keep(health, run, longest), name=name)
        return health

    def well(self, name: str) -> None:
        """The task works: forget its failures."""
        health = self._health.get(name)
        if health is not None and (health.error or health.condition != "running"):
            self._settle(health, "running")
            health.failures, health.error, health.remedy = 0, "", ""

    async def stop(self, name: str) -> None:
        """Cancel one task, and wait until it has let go of what it held."""
        task = self._tasks.pop(name, None)
        self._health.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def health(self, name: str) -> Health | None:
        return self._health.get(name)

    async def _keep(self, health: Health, run: Callable[[], Awaitable[None]], longest: float) -> None:
        while True:
            began = self._clock.now()
            try:
                await run()
            except PoprelayError as error:
                sentence, remedy, fields, retry = str(error), error.remedy, error.fields, error.retry
            except Exception as error:
                log.exception("task broke", task=health.name)
                sentence, remedy, fields, retry = f"a bug of ours: {error!r}", "", {}, True
            else:
                self._settle(health, "ended")
                health.error = health.remedy = ""
                return
            if self._clock.now() - began > STEADY:
                health.failures = 0
            health.failures += 1
            is_news = sentence != health.error or health.failures.bit_count() == 1  # then less and less often
            health.error, health.remedy = sentence, remedy
            if not retry:
                self._settle(health, "failed")
                log.error("task gave up", task=health.name, error=sentence, **fields)
                return
            pause = min(longest, FIRST_PAUSE * 2 ** min(health.failures - 1, 16))
            self._settle(health, "waiting")
            if is_news:
                log.warning("task failed", task=health.name, error=sentence, retry_in=pause, **fields)
            await asyncio.sleep(pause)
            self._settle(health, "starting")

    def _settle(self, health: Health, condition: Condition) -> None:
        health.condition = condition
        health.since = self._clock.now()
