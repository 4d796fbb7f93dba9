"""Rotated files that are kept open, since somebody may still write to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import structlog

from poprelay.sources.place import Identity
from poprelay.sources.reading import Reading

log = structlog.get_logger()

QUIET: Final = 600.0
"""Seconds without a new line after which a rotated file is let go."""
QUIET_DELETED: Final = 10.0
"""The same for one that was deleted: it takes up disk space while it is open."""
MOST: Final = 4
"""Rotated files kept open at most."""


class Lingering:
    """The files that linger, the oldest first. Owns them: what it lets go it closes."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._quiet_since: dict[Reading, float] = {}

    def __iter__(self) -> Iterator[Reading]:
        return iter(tuple(self._quiet_since))

    @property
    def identities(self) -> set[Identity]:
        return {reading.identity for reading in self._quiet_since}

    def add(self, reading: Reading) -> None:
        """Keep one more; the oldest goes if they are too many, and this one if it is there already."""
        if reading.identity in self.identities:
            reading.close()
            return
        self._quiet_since[reading] = self._elapsed()
        if len(self._quiet_since) > MOST:
            self.drop(next(iter(self)))

    def has_spoken(self, reading: Reading) -> None:
        """A line came."""
        self._quiet_since[reading] = self._elapsed()

    def let_go(self) -> None:
        """Drop those to which nothing was added for long."""
        now = self._elapsed()
        for reading in self:
            patience = 0.0 if reading.is_packed else QUIET_DELETED if reading.is_deleted() else QUIET
            if now - self._quiet_since[reading] >= patience:
                self.drop(reading)

    def drop(self, reading: Reading) -> None:
        if reading.lines.partial:
            log.info("rotated log ends in half a line, which is left out", path=str(reading.path))
        del self._quiet_since[reading]
        reading.close()

    def close(self) -> None:
        for reading in self:
            reading.close()
        self._quiet_since.clear()
