"""The kind `stdin`: reads lines from standard input until it ends. For a pipe from a syslog daemon, and for tests."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Self

from poprelay.agents.base import Agent
from poprelay.clock import Clock
from poprelay.errors import SourceError
from poprelay.model import Instant
from poprelay.sources import Batch
from poprelay.sources.archive import CHUNK
from poprelay.sources.lines import Lines
from poprelay.sources.ready import is_ready, until_ready
from poprelay.sources.scanning import MakeScanner, scanned_batch, scanner_from_section

if TYPE_CHECKING:
    from poprelay.config.section import Section


class StdinSource:
    """Lines from a pipe, a file or a terminal. There is no position: what was read is gone.

    An unterminated last line is left out when the input ends, for it may be half of one.
    """

    def __init__(
        self,
        make_scanner: MakeScanner,
        *,
        name: str = "stdin",
        clock: Clock | None = None,
        descriptor: int = 0,
    ) -> None:
        self._make_scanner = make_scanner
        self._name = name
        self._clock = clock or Clock()
        self._descriptor = descriptor
        self._state = "waiting"

    @classmethod
    def from_section(cls, section: Section, agents: Sequence[Agent]) -> Self:
        """Reads `name`, `hosts` and `timezone`."""
        name = section.text("name", "stdin")
        return cls(scanner_from_section(section, agents, name), name=name)

    @property
    def name(self) -> str:
        return self._name

    def state(self) -> dict[str, object]:
        """`state`: waiting (for input), following (something was read), ended."""
        return {"state": self._state}

    async def batches(
        self,
        position: bytes | None,  # noqa: ARG002 - there is none
        *,
        at_end: bool = False,  # noqa: ARG002 - the same
    ) -> AsyncIterator[Batch]:
        """As `Source` says; ends with the input. Lines wait in the pipe while the last batch is not acknowledged."""
        descriptor = self._descriptor
        scanner, lines = self._make_scanner(), Lines()
        try:
            waits = _waits(descriptor)
            if waits and not is_ready(descriptor):
                yield Batch(events=(), position=b"", read_at=self._clock.now(), caught_up=True)
            while True:
                if waits:
                    await until_ready(descriptor)
                data = await asyncio.to_thread(os.read, descriptor, CHUNK)
                if not data:
                    break
                block = lines.feed(data)
                self._state = "following"
                if block.data:
                    yield await asyncio.to_thread(
                        scanned_batch,
                        scanner,
                        block,
                        now=self._clock.now(),
                        modified=_modified(descriptor),
                        position=bytes,
                        caught_up=waits and not is_ready(descriptor),
                    )
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal that went away ends
                raise SourceError(f"standard input cannot be read: {error.strerror}") from error
        self._state = "ended"


def _modified(descriptor: int) -> Instant | None:
    status = os.fstat(descriptor)
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


def _waits(descriptor: int) -> bool:
    """Whether there may be nothing to read for a while: not so for a regular file."""
    return not stat.S_ISREG(os.fstat(descriptor).st_mode)
