"""Faults of the system's limits: no inotify, too much of it, no descriptors left."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
import time
from pathlib import Path
from typing import Final

from asyncinotify import Inotify, Mask

from faults.world import World
from live.running import until

_WITHOUT_INOTIFY: Final = 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"'


def no_inotify(world: World) -> None:
    """A user namespace that has none: the look each second sees all, rotations too."""
    prefix = world.poprelay.prefix
    world.stop()
    world.poprelay.prefix = [*prefix, "unshare", "--user", "--map-root-user", "sh", "-c", _WITHOUT_INOTIFY, "sh"]
    world.start()
    world.poprelay.prefix = prefix
    assert not world.status()["sources"][0]["inotify"]
    world.log.rename(world.rotated())
    time.sleep(1.0)
    world.settled()
    world.stop()
    world.start()


def inotify_overflows(world: World) -> None:
    """More happens in the log's directory, while the daemon is stopped, than its queue takes; a rotation among it."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    crowd = world.log.parent / "other"
    with world.halted(), Inotify(sync_timeout=0) as another:
        another.add_watch(world.log.parent, Mask.CREATE | Mask.MOVE | Mask.DELETE)
        for number in range(most // 2 + 500):
            crowd.with_name(f"other{number % 50}").touch()
            crowd.with_name(f"other{number % 50}").unlink()
        with world.quiet():
            world.log_in()
            world.log.rename(world.rotated())
            world.log_in()
        overflowed = False  # as the daemon's own queue, which sees no less
        while (event := another.sync_get()) is not None:
            overflowed = overflowed or bool(event.mask & Mask.Q_OVERFLOW)
        assert overflowed


def descriptors_run_out(world: World) -> None:
    """Peers come until the process may open nothing more; they are turned away before that, and it is said."""
    pid = world.poprelay.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len([*Path(f"/proc/{pid}/fd").iterdir()])
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, old[1]))
    peers: list[socket.socket] = []
    try:
        for _ in range(100):
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            peer.settimeout(0.1)
            peers.append(peer)
            with contextlib.suppress(OSError):
                peer.connect(str(world.place / "s"))
        time.sleep(2.0)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
        for peer in peers:
            peer.close()


def no_descriptor_at_all(world: World) -> None:
    """Not even for what the daemon itself opens: a log that was rotated must wait, and is read then."""
    pid = world.poprelay.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, old[1]))
    try:
        with world.quiet():
            world.log.rename(world.rotated())
            world.log_in()
        time.sleep(3.0)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)


def log_directory_crowded(world: World) -> None:
    """Thousands of files beside the log, some with names like its own."""
    folder = world.log.parent
    for number in range(3000):
        (folder / f"mail.log-{number:05}.part").touch()
    world.log.rename(world.rotated())
    world.settled()
    moved = folder.with_name(f"crowd{world.chance.randrange(10**9)}")
    moved.mkdir()
    for number in range(3000):
        (folder / f"mail.log-{number:05}.part").rename(moved / str(number))
    until(lambda: not [*folder.glob("*.part")])
    shutil.rmtree(moved)
