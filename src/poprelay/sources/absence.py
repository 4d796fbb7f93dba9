"""Whether there is a file of the log's name; said in the log when it stays away, and when it is there again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

LONG: Final = 5.0
"""Seconds without such a file after which that is said: between the steps of a rotation it is away for a moment."""


class Absence:
    """Of one log; `elapsed` is a clock that only goes forward."""

    def __init__(self, path: Path, elapsed: Callable[[], float]) -> None:
        self.is_missing = False
        self._path = path
        self._elapsed = elapsed
        self._since = 0.0
        self._is_said = False

    def note(self, *, is_missing: bool) -> None:
        """What a look has shown; to be told again at each."""
        if not is_missing:
            if self._is_said:
                log.info("log is there again", path=str(self._path))
            self._is_said = False
        elif not self.is_missing:
            self._since = self._elapsed()
        elif not self._is_said and self._elapsed() - self._since >= LONG:
            log.warning("log is missing", path=str(self._path))
            self._is_said = True
        self.is_missing = is_missing
