"""The kind `file`: follows a log file, through rotations and restarts, line by line and each line once.

Reading and scanning happen in a thread of the source's own, so that neither a slow disk nor a long log ever holds up
the daemon. Where there is inotify a line is seen when it is written; a look each second sees it everywhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec
import structlog

from poprelay.agents.base import Agent
from poprelay.clock import Clock
from poprelay.sources import Batch
from poprelay.sources.archive import CHUNK
from poprelay.sources.follow import Trail
from poprelay.sources.place import Position
from poprelay.sources.reading import refusal
from poprelay.sources.scanning import MakeScanner, scanned_batch, scanner_from_section
from poprelay.sources.watch import Watch, open_watch

if TYPE_CHECKING:
    from poprelay.config.section import Section

log = structlog.get_logger()

LOOK: Final = 1.0
"""Seconds between two looks at a quiet file."""
HANGS: Final = 5.0
"""Seconds after which one reading, a moment's work, is called hanging: a file system does not answer, or slowly."""
SMALL: Final = 64 * 1024
"""Bytes read at a time while little comes; more comes of itself when there is more."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """What one step of reading brought: perhaps a batch, and whether to take the next step at once."""

    batch: Batch | None
    again: bool
    condition: dict[str, object]


class LogReader:
    """One reading of a log, from a position on. Everything here blocks; all of it runs in one thread.

    `position` is None at the first start; the log is then read from its start, or from its end if `at_end`.
    """

    def __init__(
        self,
        path: Path,
        make_scanner: MakeScanner,
        clock: Clock,
        position: bytes | None,
        *,
        at_end: bool = False,
        watch: Watch | None = None,
    ) -> None:
        start = _decode(path, position)
        self._path = path
        self._clock = clock
        self._scanner = make_scanner()
        if start.scanner:
            try:
                self._scanner.restore(start.scanner)
            except ValueError as error:
                log.warning("scanner state is not readable, and left out", path=str(path), error=str(error))
        self._trail = Trail(path, start, at_end=at_end and position is None)
        self._watch = watch
        self._limit = SMALL
        self._said_caught_up = False

    def step(self) -> Step:
        """Read and scan at most one block. Raises SourceError."""
        try:
            look = self._trail.look(self._limit)
            self._limit = min(CHUNK, self._limit * 4) if look.filled else SMALL
            batch = None
            if look.block.data:
                batch = scanned_batch(
                    self._scanner,
                    look.block,
                    now=self._clock.now(),
                    modified=look.modified,
                    position=self._position,
                    caught_up=look.caught_up,
                )
            elif look.caught_up and not self._said_caught_up:
                # Says so, and lets a start at the end of the file become durable before the first line comes.
                batch = Batch(events=(), position=self._position(), read_at=self._clock.now(), caught_up=True)
            if batch is not None:
                self._said_caught_up = batch.caught_up
            again = look.more
            if not again and self._watch is not None:
                again = self._watch.update(self._trail.watched())
            return Step(batch, again, self._condition(caught_up=look.caught_up))
        except OSError as error:
            raise refusal(self._path, error) from error

    def close(self) -> None:
        self._trail.close()
        if self._watch is not None:
            self._watch.close()

    def _position(self) -> bytes:
        return self._trail.position(self._scanner.state()).encode()

    def _condition(self, *, caught_up: bool) -> dict[str, object]:
        current = self._trail.current
        missing = self._trail.is_missing
        return {
            "state": "missing" if missing else "following" if caught_up else "catching up",
            "path": str(self._path),
            "file": str(current.path) if current is not None else None,
            "offset": current.offset if current is not None else 0,
            "size": current.size() if current is not None else 0,
            "lag": self._trail.lag(),
            "inotify": self._watch is not None,
        }


class FileSource:
    """Follows one log file. `make_scanner` makes a fresh scanner for each time that reading begins."""

    def __init__(
        self,
        path: Path,
        make_scanner: MakeScanner,
        *,
        name: str = "",
        clock: Clock | None = None,
        inotify: bool = True,
    ) -> None:
        self._path = path
        self._make_scanner = make_scanner
        self._name = name or str(path)
        self._clock = clock or Clock()
        self._inotify = inotify
        self._condition: dict[str, object] = {"state": "waiting", "path": str(path)}

    @classmethod
    def from_section(cls, section: Section, agents: Sequence[Agent]) -> Self:
        """Reads `path`, `name`, `hosts` and `timezone`."""
        path = section.file("path")
        name = section.text("name", str(path))
        return cls(path, scanner_from_section(section, agents, name), name=name)

    @property
    def name(self) -> str:
        return self._name

    def state(self) -> dict[str, object]:
        """`state`: waiting (not begun), missing, catching up, following, hanging. `file` is the one that is being read,
        `offset` and `size` are in bytes of it, `lag` is the bytes that are known to wait in all files."""
        return dict(self._condition)

    async def batches(self, position: bytes | None, *, at_end: bool = False) -> AsyncIterator[Batch]:
        """As `Source` says. The first batch may be empty: it says that nothing waits."""
        woken = asyncio.Event()
        watch = open_watch() if self._inotify else None
        reader = LogReader(self._path, self._make_scanner, self._clock, position, at_end=at_end, watch=watch)
        worker = ThreadPoolExecutor(1, thread_name_prefix="source")
        loop = asyncio.get_running_loop()
        try:
            if watch is not None:
                watch.start(woken.set)
            while True:
                woken.clear()
                watchman = loop.call_later(HANGS, self._hangs)
                try:
                    step = await loop.run_in_executor(worker, reader.step)
                finally:
                    watchman.cancel()
                if self._condition["state"] == "hanging":
                    log.info("log is read again", path=str(self._path))
                self._condition = step.condition
                if step.batch is not None:
                    yield step.batch
                elif not step.again:
                    await _wait(woken)
        finally:
            if watch is not None:
                watch.stop()
            # Behind a read that may still be under way, and which a stalled filesystem may hold for long.
            worker.submit(reader.close)
            worker.shutdown(wait=False)

    def _hangs(self) -> None:
        log.warning("reading the log hangs; its logins wait", path=str(self._path))
        self._condition = {**self._condition, "state": "hanging"}


async def _wait(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK):
            await woken.wait()
    except TimeoutError:
        pass


def _decode(path: Path, position: bytes | None) -> Position:
    """Where to begin. One that cannot be read is as none: reading again changes nothing, skipping loses logins."""
    if position is not None:
        try:
            return Position.decode(position)
        except ValueError as error:
            log.warning("position is not readable, and the log is read anew", path=os.fspath(path), error=str(error))
    return Position()
