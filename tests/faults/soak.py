"""Faults by chance, one after another on one world, for hours; then a report.

    SOAK=3600 python tests/faults/soak.py [SEED]      for an hour; `make soak` runs this

What was answered wrongly, a login that was lost, or anything else that should not be ends it, with exit code 1. The
same seed makes the same faults in the same order; how they meet the daemon is a matter of time.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults import flood
from faults.catalog import FAULTS, Fault, undergo
from faults.host import seclude
from faults.world import World

SECONDS: Final = float(os.environ.get("SOAK", "3600"))
MILLION: Final = 1_000_000


def a_million_addresses(world: World) -> None:
    """The flood in its long form."""
    flood.addresses(world, MILLION)


def a_hundred_thousand_users(world: World) -> None:
    """At one address."""
    flood.users_of_one_address(world, 100_000)


LONG: Final = (
    Fault(a_million_addresses, said=("too-many-grants",)),
    Fault(a_hundred_thousand_users, shown=("too-many-users|has too many users",)),
)


def main(seed: int) -> int:
    """Run until the time is over, or something is wrong; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # then, too, nothing is left behind
    seclude()
    chance = random.Random(seed)
    began = time.monotonic()
    done: Counter[str] = Counter()
    failed = ""
    print(f"seed {seed}, {SECONDS:g} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        world = World(Path(place), seed=seed, size="2g")
        try:
            with world:
                bag: list[Fault] = []
                while time.monotonic() - began < SECONDS:
                    bag = bag or chance.sample([*FAULTS, *LONG], len(FAULTS + LONG))
                    fault = bag.pop()
                    time.sleep(chance.uniform(0.7, 2.0))
                    print(f"{time.monotonic() - began:7.0f} s  {fault.name}", flush=True)
                    undergo(world, fault, seconds=60)
                    done[fault.name] += 1
                    _tidy(world)
        except Exception:  # noqa: BLE001  # whatever it is, it is the report's first line
            failed = traceback.format_exc()
            print(failed, *world.poprelay.log.read_text(errors="replace").splitlines()[-300:], sep="\n", flush=True)
    print(report(seed, time.monotonic() - began, world, done, failed))
    return 1 if failed else 0


def report(seed: int, seconds: float, world: World, done: Counter[str], failed: str) -> str:
    """What was done, asked and seen, as a table to read."""
    truth = world.truth
    rows = {
        "seed": seed,
        "seconds": f"{seconds:.0f}",
        "faults done": f"{done.total()}, of {len(done)} kinds",
        "logins written": f"{len(truth.logins):,}",
        "questions asked": f"{truth.asked:,}",
        "not answered": f"{sum(probe.failed for probe in world.services):,}, while it was down or full",
        "wrong answers": len(truth.wrong),
        "worst lateness": f"{truth.latest:.2f} s",
        "peak memory": f"{world.peak:.0f} MiB",
        "ended": "something is wrong, see above" if failed else "all is well",
    }
    lines = [f"{what:16} {said}" for what, said in rows.items()]
    return "\n".join(["", *lines, "", *(f"{count:5}  {what}" for what, count in sorted(done.items()))])


def _tidy(world: World) -> None:
    """What a host does each night: of the rotated logs, which are read by now, the oldest are thrown away."""
    for old in sorted(world.log.parent.glob("mail.log.2*"))[:-4]:
        old.unlink()
    for aside in world.host.state.glob("private/*.damaged-*"):
        aside.unlink()
    if world.poprelay.log.stat().st_size > 200_000_000:
        os.truncate(world.poprelay.log, 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns() % 10**9))
