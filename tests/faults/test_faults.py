"""What mail servers go through: each fault while logins are written, and map and service are asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from faults.catalog import FAULTS, Fault, name
from faults.world import World


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_it_survives(fault: Fault, short: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    world = World(short, seed=seed)
    try:
        with world:
            time.sleep(0.7)
            world.mark()
            fault(world)
            world.settled()
        assert world.truth.asked > 50
    finally:
        print(*world.poprelay.log.read_text(errors="replace").splitlines()[-40:], sep="\n")
