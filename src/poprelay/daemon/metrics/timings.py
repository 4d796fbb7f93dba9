"""How long something took, counted in buckets: cheap enough for every commit, and all that a histogram needs."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Final

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets, in seconds; one more holds what took longer."""


class Timings:
    """Durations of one kind of work."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        """Seconds in all."""

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Count how long what is done inside takes; what fails does not count."""
        begun = time.monotonic()
        yield
        self.add(time.monotonic() - begun)

    def buckets(self) -> list[tuple[str, int]]:
        """For each upper bound how many took no longer, in Prometheus' form: the last is `+Inf`."""
        return list(zip([*map(str, BOUNDS), "+Inf"], accumulate(self._counts), strict=True))
