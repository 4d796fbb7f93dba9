"""Faults of disks: full, read-only, slow, and directories that may not be entered."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from faults import flood
from faults.truth import PERIOD
from faults.world import World
from live.running import until


def ledger_full(world: World) -> None:
    """Nothing opens, and what has ended goes away all the same. The ledger gives back to the disk before that what it
    does not use: one that has been large has room of its own."""
    world.stop()
    with closing(sqlite3.connect(world.poprelay.ledger)) as ledger:
        ledger.execute("VACUUM")
    world.start()
    world.truth.unread = True
    with world.host.full(world.host.state):
        world.told()
        time.sleep(PERIOD + 4.0)


def map_full(world: World) -> None:
    """A full disk under the map alone: what has ended is taken out of it all the same; nothing new comes in. The map is
    made anew before that, and when there is little to put in: one that has been large has room of its own."""
    until(lambda: world.status()["grants"] < 1500, seconds=60, step=0.2)
    world.stop()
    world.map.unlink()
    world.start()
    with world.host.full(world.host.maps):
        time.sleep(1.0)
        with world.quiet():
            flood.at_once(world, 6000, ipv6=True)
        world.told()
        time.sleep(PERIOD + 2.0)


def log_full(world: World) -> None:
    """The mail server cannot log, so nobody logs in; the rest goes on."""
    with world.host.full(world.host.logs):
        time.sleep(2.0)


def read_only(world: World) -> None:
    """What poprelay keeps cannot be written any more, as after errors=remount-ro. The ledger's closing goes on in
    memory; a map that nobody can write keeps what it holds, and that is said."""
    world.map_probe.muzzled.set()
    world.truth.unread = True
    with world.host.read_only():
        world.told()
        time.sleep(PERIOD)
    time.sleep(2.0)
    world.settled()
    world.map_probe.muzzled.clear()


def read_only_at_the_start(world: World) -> None:
    """It does not start on a disk that is mounted read-only, and says why."""
    world.stop()
    with world.host.remounted_read_only():
        world.poprelay.spawn()
        assert world.poprelay.ended(seconds=10) == 1
    world.start()


def log_stalled(world: World) -> None:
    """Reading the log hangs for longer than a period, as over a network: questions are answered meanwhile."""
    _stalled(world, names=False)


def log_system_stalled(world: World) -> None:
    """So does all that needs a name on its file system: to open, to list, to look."""
    _stalled(world, names=True)


def _stalled(world: World, *, names: bool) -> None:
    for probe in world.services:
        probe.slowest, probe.answered = 0.0, 0
    world.truth.unread = True
    with world.host.stalled(names=names):
        world.told()
        time.sleep(PERIOD - 3.0)
        for probe in world.services:
            assert probe.answered > 50
            assert probe.slowest < 1.0 + world.truth.starved.during(PERIOD + 2.0)
        world.truth.excuse()


def log_slow(world: World) -> None:
    """Each read of the log takes a while."""
    with world.host.slow(100):
        time.sleep(3.0)


@contextmanager
def _forbidden(path: Path) -> Iterator[None]:
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        yield
    finally:
        path.chmod(mode)


def log_forbidden(world: World) -> None:
    """After a rotation the new log may not be read; then somebody mends that."""
    with world.quiet():
        world.log.rename(world.rotated())
        world.log.touch()
        with _forbidden(world.log):
            world.log_in()
            world.told()


def log_directory_forbidden(world: World) -> None:
    with _forbidden(world.log.parent):
        world.told()


def map_directory_forbidden(world: World) -> None:
    """The file that is open stays the map."""
    with _forbidden(world.host.maps):
        world.told()
        time.sleep(PERIOD)


def ledger_directory_forbidden(world: World) -> None:
    """Its files are open, so nothing is wrong until it starts again; then it says so, and does not start."""
    with _forbidden(world.host.state / "private"):
        time.sleep(1.0)
        world.stop()
        world.poprelay.spawn()
        assert world.poprelay.ended(seconds=10) == 77
    world.start()


def control_socket_forbidden(world: World) -> None:
    """Nobody but root can ask or give orders, and is told so; the daemon does its work."""
    with _forbidden(world.place / "d" / "control"):
        asked = world.run_unprivileged("status")
        assert asked.returncode == 77
        assert "you may not use" in asked.stderr
        time.sleep(1.0)
