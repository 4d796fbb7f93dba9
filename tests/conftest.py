"""For all tests: logging as if nobody had set it up; and hypothesis' profiles, `usual`, and `fuzz`, by which
`make fuzz` tries the same claims on far more examples."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("usual", deadline=None)  # a busy machine is no failure
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("EXAMPLES") or "2000"),
    deadline=None,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("usual")


@pytest.fixture(autouse=True)
def _unset_logging() -> Iterator[None]:
    """What one test has set up of logging must not filter what another looks for."""
    yield
    structlog.reset_defaults()
