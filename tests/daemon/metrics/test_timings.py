from __future__ import annotations

import pytest

from poprelay.daemon.metrics.timings import BOUNDS, Timings


def test_each_bucket_counts_all_that_took_no_longer() -> None:
    timings = Timings()
    for seconds in (0.0001, 0.001, 0.03, 99.0):
        timings.add(seconds)
    buckets = dict(timings.buckets())
    assert (buckets["0.001"], buckets["0.05"], buckets["10.0"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert list(buckets.values()) == sorted(buckets.values())
    assert len(buckets) == len(BOUNDS) + 1
    assert timings.total == pytest.approx(99.0311)


def test_what_fails_does_not_count() -> None:
    timings = Timings()
    with pytest.raises(OSError, match="no"), timings.measure():
        raise OSError("no")
    with timings.measure():
        pass
    assert timings.buckets()[-1] == ("+Inf", 1)
