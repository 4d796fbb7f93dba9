"""Hypothesis' profiles: `usual`, and `fuzz`, by which `make fuzz` tries the same claims on far more examples."""

from __future__ import annotations

import os

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
