"""What mail servers go through: each fault while logins are written, and map and services are asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from faults.catalog import FAULTS, Fault, go_through
from faults.world import World


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_survives(fault: Fault, short: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    world = World(short, seed=seed)
    try:
        go_through(world, fault)
        assert world.truth.asked > 50
    finally:
        print(*world.poprelay.log.read_text(errors="replace").splitlines()[-40:], sep="\n")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_is_explained_or_the_catalog_says_why_not(fault: Fault) -> None:
    assert bool(fault.said or fault.shown) != bool(fault.silent)
