"""Faults of the log: everything that rotates, replaces or loses it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import time

from faults.world import World
from live.running import until


def renamed(world: World) -> None:
    """logrotate: the log gets another name; whoever writes it makes a new one."""
    world.log.rename(world.rotated())


def renamed_often(world: World) -> None:
    """Faster than it looks."""
    for _ in range(8):
        with world.quiet():
            world.log_in()
            world.log.rename(world.rotated())
        time.sleep(world.chance.uniform(0.0, 0.15))


def copied_and_truncated(world: World) -> None:
    """logrotate's copytruncate."""
    with world.quiet():
        world.log_in()
        shutil.copyfile(world.log, world.rotated())
        os.truncate(world.log, 0)


def truncated(world: World) -> None:
    """Without a copy, once all was read; what is written then is shorter at first than what was."""
    with world.quiet():
        until(world.has_read, step=0.1)
        os.truncate(world.log, 0)


def compressed(world: World) -> None:
    """Renamed, then packed."""
    old = world.rotated()
    world.log.rename(old)
    time.sleep(world.chance.uniform(0.0, 0.8))
    pack, suffix = world.chance.choice(((gzip.compress, ".gz"), (lzma.compress, ".xz"), (bz2.compress, ".bz2")))
    packed = old.with_name(old.name + suffix)
    packed.with_suffix(".part").write_bytes(pack(old.read_bytes()))
    packed.with_suffix(".part").rename(packed)
    old.unlink()


def compressed_while_down(world: World) -> None:
    """The daemon is killed; meanwhile what it had not read is rotated away and packed."""
    with world.quiet():
        world.kill()
        for _ in range(20):
            world.log_in()
        old = world.rotated()
        world.log.rename(old)
        old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
        for _ in range(5):
            world.log_in()
    world.start()


def deleted_and_made_again(world: World) -> None:
    """All was read; the new one often gets the old one's inode."""
    with world.quiet():
        until(world.has_read, step=0.1)
        world.log.unlink()
        world.log_in()


def deleted_unread(world: World) -> None:
    """Whatever was not read yet is gone; nothing else is."""
    with world.quiet():
        world.log.unlink()
        world.truth.excuse()
        world.log_in()


def missing(world: World) -> None:
    """Deleted, and not made again for a while: that is said, in the log once it is no moment of a rotation's."""
    with world.quiet():
        until(world.has_read, step=0.1)
        world.log.unlink()
        world.told()
        world.said("log is missing")


def directory_replaced(world: World) -> None:
    """Another directory stands under the name of the log's."""
    folder = world.log.parent
    with world.quiet():
        until(world.has_read, step=0.1)
        folder.rename(folder.with_name(f"gone{world.chance.randrange(10**9)}"))
        folder.mkdir()
        world.log_in()


def link_switched(world: World) -> None:
    """The log is a symbolic link, which each day names another file."""
    day = world.chance.randrange(10**9)
    monday, tuesday = (world.log.with_name(f"day{day}-{number}") for number in range(2))
    with world.quiet():
        world.log.rename(monday)
        world.log.symlink_to(monday)
    time.sleep(0.5)
    with world.quiet():
        tuesday.touch()
        link = world.log.with_name("link")
        link.symlink_to(tuesday)
        link.rename(world.log)
    time.sleep(1.5)
    with world.quiet():  # and back to a file
        until(world.has_read, step=0.1)
        world.log.unlink()
        world.log_in()
