"""Counts by word, and when a thing that keeps happening is worth another line in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

QUIET: Final = 60.0
"""Seconds between two log lines about the same word: a peer that errs in a loop must not fill the disk."""


class Tally:
    """How often each word was counted.

    >>> tally = Tally("found", "absent")
    >>> tally.add("found")
    >>> tally.note("refused_malformed"), tally.note("refused_malformed")
    (True, False)
    >>> tally.counts()
    {'found': 1, 'absent': 0, 'refused_malformed': 2}
    """

    __slots__ = ("_clock", "_counts", "_noted")

    def __init__(self, *words: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts = dict.fromkeys(words, 0)
        self._noted: dict[str, float] = {}

    def add(self, word: str) -> None:
        """Count one `word`, one of those given at the start."""
        self._counts[word] += 1

    def note(self, word: str) -> bool:
        """Count one `word`, known or new; True if it is time to log it: the first, then at most one in `QUIET`."""
        self._counts[word] = self._counts.get(word, 0) + 1
        now = self._clock()
        if now - self._noted.get(word, -QUIET) < QUIET:
            return False
        self._noted[word] = now
        return True

    def counts(self) -> dict[str, int]:
        """A copy of all counts."""
        return dict(self._counts)
