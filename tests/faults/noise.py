"""Faults of what is in the log: lines without end, binary noise, half lines."""

from __future__ import annotations

import time

from faults.world import World
from live.running import until


def long_lines(world: World) -> None:
    """Of ten million bytes, one without and one with a login's text in it; `status` counts them."""
    before = world.status()["sources"][0]["cut"]
    for _ in range(2):
        with world.quiet():
            world.write("x" * 10_000_000 + "\n")
            world.write("x" * 10_000_000 + world.login_lines("eve", "6.6.6.6"))
        time.sleep(0.3)
    with world.quiet():
        until(world.has_read, step=0.1)
    assert world.status()["sources"][0]["cut"] >= before + 4


def binary(world: World) -> None:
    """Any bytes at all, and holes of NUL."""
    for _ in range(10):
        with world.quiet():
            world.write(world.chance.randbytes(200_000).replace(b"\n", b" ") + b"\n" + bytes(5000))
        time.sleep(0.1)


def half_lines(world: World) -> None:
    """A line in several pieces is one line; one that is never finished is none."""
    for _ in range(20):
        with world.quiet():
            login = world.truth.log_in()
            line = world.login_lines("half", login.address)
            cut = world.chance.randrange(1, len(line))
            world.write(line[:cut])
            time.sleep(0.02)
            world.write(line[cut:])
            world.write(world.login_lines("eve", "6.6.6.6").splitlines()[0][:40])
            time.sleep(0.01)
            world.write("\n")
