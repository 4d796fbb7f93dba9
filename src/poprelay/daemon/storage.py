"""Opening the ledger's file: the lock, the store, the grants in it, and the thread that writes."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from poprelay.clock import Clock
from poprelay.config.settings import LedgerSettings, Settings
from poprelay.daemon.collector import kept_away
from poprelay.daemon.terms import rules_of, terms_of
from poprelay.errors import AlreadyRunning, StoreDamaged
from poprelay.ledger.closing import kept
from poprelay.ledger.damage import check_whole
from poprelay.ledger.ledger import Ledger
from poprelay.ledger.lock import Lock, acquire
from poprelay.ledger.sqlite import open_or_set_aside
from poprelay.ledger.writer import Writer
from poprelay.model import Instant

log = structlog.get_logger()

HELD_BRIEFLY = 2.0
"""Seconds to wait for the ledger's lock: a command that found no daemon (the minutely cleanup) holds it for less."""
STEPS = 200
"""Steps of each kind in one tidying; the next one, soon, goes on. Between two the writer does what else waits."""


class Storage:
    """One ledger, held by this process alone until `close`."""

    def __init__(self, settings: Settings, clock: Clock, *, patience: float = HELD_BRIEFLY) -> None:
        """Raises AlreadyRunning or StoreError. A damaged file is set aside, and an empty ledger begun."""
        self.settings: LedgerSettings = settings.ledger
        self._clock = clock
        self.damage = ""
        """What the check of the whole file found; '' for nothing."""
        self._lock = _lock(self.settings.path, clock, patience)
        try:
            now = clock.now()
            self._store, self.set_aside = open_or_set_aside(self.settings.path, now, now - settings.relay.period)
            if self.set_aside is not None:
                log.error("ledger was damaged and is set aside; beginning empty", set_aside=str(self.set_aside))
            snapshot = self._store.load()
        except BaseException:
            self._lock.release()
            raise
        lost_at = self._store.lost_at
        self._lost_at = -math.inf if lost_at is None else lost_at
        """When a ledger was lost."""
        self.writer = Writer(self._store)
        self.positions = dict(snapshot.positions)
        self.is_new = lost_at is None and not (snapshot.positions or snapshot.grants or snapshot.revocations)
        """Whether nothing was ever kept here: what an older daemon left may be taken over."""
        self.ledger = Ledger(terms_of(settings), rules_of(settings))
        with kept_away():
            self.ledger.load(snapshot, now)

    @property
    def begins_at_end(self) -> bool:
        """Whether a source without a position begins at its end: a ledger, and what was revoked in it, was lost, so
        lately that a login from before could still count."""
        return self.lost_until is not None

    @property
    def lost_until(self) -> Instant | None:
        """Until when that is so; None if it is not. If the clock was ahead then, it lasts from when that is seen."""
        now = self._clock.now()
        self._lost_at = min(self._lost_at, now)
        until = self._lost_at + kept(self.ledger.terms)
        return until if until > now else None

    @property
    def last_beat(self) -> Instant:
        """When a daemon last held this ledger, and had read all logs up to then, before we did."""
        return self._lock.last_beat

    def beat(self) -> None:
        """Leave word that a daemon holds this ledger, and has read all logs up to now."""
        self._lock.beat()

    async def check(self) -> None:
        """After an unclean stop: read the whole file in the background, and remember what was found."""
        if not self._store.unchecked:
            return
        worker = ThreadPoolExecutor(1, thread_name_prefix="check")  # the loop would wait for one of its own at its end
        try:
            await asyncio.get_running_loop().run_in_executor(worker, check_whole, self.settings.path)
        except StoreDamaged as error:
            self.damage = str(error)
            await self.writer.run(self._store.condemn)
            log.error("ledger is damaged; it is set aside at the next start", error=self.damage)
        else:
            await self.writer.run(self._store.checked)
        finally:
            worker.shutdown(wait=False)

    async def tidy(self, now: Instant) -> bool:
        """Forget the history that is older, or more, than the config keeps, and give bundled grants their places; True
        if some of it is left to do. Raises StoreError."""
        before, most = now - self.settings.history, self.settings.history_max_rows
        is_behind = False
        for step in (partial(self._store.prune, before, most), self._store.unpack_old):
            for _ in range(STEPS):
                if not await self.writer.run(step):
                    break
            else:
                is_behind = True
        return is_behind

    async def close(self) -> None:
        """Write what waits, mark the stop as clean, and let go."""
        try:
            await self.writer.close()
        finally:
            self._lock.release()


def _lock(path: Path, clock: Clock, patience: float) -> Lock:
    """Hold the ledger; raises AlreadyRunning if somebody else goes on holding it."""
    deadline = clock.monotonic() + patience
    while True:
        try:
            return acquire(path)
        except AlreadyRunning:
            if clock.monotonic() > deadline:
                raise
            time.sleep(0.02)
