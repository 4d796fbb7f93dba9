"""The one place that knows the time of day.

Everything below the daemon takes `now` as an argument; the daemon asks a `Clock`.
"""

from __future__ import annotations

import time

from poprelay.model import Instant

STEP = 2.0
"""Seconds by which the wall clock may fall behind the monotonic clock before we call it a step back."""


class Clock:
    """The wall clock, and whether it has been set back since the last look."""

    def __init__(self) -> None:
        self._highest = self._measure()

    def now(self) -> Instant:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some start, never set: for pauses and intervals."""
        return time.monotonic()

    def stepped_back(self) -> bool:
        """True once after the wall clock was set back by more than `STEP` seconds, in one step or in several, judged
        by the monotonic clock."""
        offset = self._measure()
        back = offset < self._highest - STEP
        self._highest = offset if back else max(offset, self._highest)
        return back

    @staticmethod
    def _measure() -> float:
        return time.time() - time.monotonic()
