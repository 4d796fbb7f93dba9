"""Faults of the process: it is killed, its power is cut, signals storm, a second one is started."""

from __future__ import annotations

import os
import signal
import time

from faults.truth import PERIOD
from faults.world import World
from live.running import until


def killed(world: World) -> None:
    """`kill -9` at a random moment, and again; the pause without it is random too."""
    for _ in range(3):
        time.sleep(world.chance.uniform(0.0, 0.6))
        world.kill()
        time.sleep(world.chance.uniform(0.0, 0.4))
        world.start()


def killed_while_it_starts(world: World) -> None:
    """Before it is ready, at random; what it had begun to read and to publish is left as it is."""
    world.kill()
    for _ in range(3):
        world.poprelay.spawn()
        time.sleep(world.chance.uniform(0.05, 0.6))
        world.poprelay.kill()
    world.start()


def power_cut(world: World) -> None:
    """Only what was synced is left. What an operator revoked before stays revoked, for the command had said so."""
    for _ in range(2):
        time.sleep(world.chance.uniform(0.5, 1.0))
        with world.quiet():
            until(lambda: world.truth.expected()[0] in {address for address, _ in world.poprelay.allowed()})
            closed = world.truth.expected()[:1]
            world.truth.excuse(closed)
            assert world.poprelay.run("revoke", "--address", *closed).exit == 0
            world.truth.close(closed)
        world.kill()
        world.host.lose_unsynced()
        world.start()


def hung_up(world: World) -> None:
    """A storm of SIGHUPs: it reloads all the while."""
    for _ in range(300):
        os.kill(world.poprelay.pid, signal.SIGHUP)
        time.sleep(0.003)


def halted(world: World) -> None:
    """SIGSTOP for longer than a period, as of a virtual machine that is moved: the map stands still, then is right."""
    world.truth.unread = True
    with world.halted():
        time.sleep(PERIOD + 2.0)


def doubled(world: World) -> None:
    """A second daemon on the same ledger is turned away, and says why."""
    second = world.poprelay.run("run")
    assert second.exit == 1
    assert "already" in second.err or "another" in second.err, second.err
