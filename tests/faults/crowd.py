"""Faults of peers: thousands at the sockets, half-open, slow, and garbage at wire speed; in a process of their own.

python crowd.py KIND COUNT SECONDS PATH…    one kind of peer, so many of them, for so long, at these sockets
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from faults.world import World

PEERS: Final = 10_000
GREEDY: Final = 5
"""Of those who read no answers, so many ask on."""
WAIT: Final = 12.5
"""Seconds after which whoever completes no question, or reads no answer, has been turned out."""
_SAID_ONCE: Final = 61.0
"""Seconds for which the daemon does not say again for which reason it turns somebody away."""
_NOBODY: Final = 65534
"""Who they are: not root, who may ask and order whoever else does."""


def _connect(path: str) -> socket.socket | None:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.setblocking(False)
    for _ in range(200):
        try:
            peer.connect(path)
        except BlockingIOError:  # its backlog is full
            time.sleep(0.001)
        except OSError:
            break
        else:
            return peer
    peer.close()
    return None


def _said(kind: str, chance: random.Random) -> bytes:
    match kind:
        case "silent":
            return b""
        case "half":
            return chance.choice((b"999:relay", b"request=smtpd_access_policy\nclient_", b'{"op":"sta', b"1"))
        case "slow":
            return b"7:relay x," * 100
        case _:
            return chance.randbytes(60_000)


def main(kind: str, count: int, seconds: float, paths: list[str]) -> None:
    """Keep `count` peers at it; whoever is thrown out comes again."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.setgroups([])
    os.setuid(_NOBODY)  # the group stays root's: whoever is in the sockets' group may come in
    chance = random.Random(count)
    ends = time.monotonic() + seconds
    questions = _said("slow", chance) * 50
    peers: list[socket.socket] = []
    came = 0
    while time.monotonic() < ends:
        if kind == "slow" and (len(peers) == count or came % 50 == 0):
            # A few fill all that lies between us; all of them would have to ask tens of millions.
            for greedy in peers[:GREEDY]:
                with contextlib.suppress(OSError):
                    greedy.send(questions)
        if len(peers) < count:
            peer = _connect(paths[0] if len(peers) < GREEDY else chance.choice(paths))
            came += peer is not None
            if peer is not None:
                peers.append(peer)
                with contextlib.suppress(OSError):
                    peer.send(_said(kind, chance))
                continue
        if kind == "garbage":
            for peer in chance.sample(peers, min(50, len(peers))):
                with contextlib.suppress(OSError):
                    peer.send(_said(kind, chance))
        peers = _still_there(peers, reading=kind != "slow")
        time.sleep(0.001)
    print(came)


def _still_there(peers: list[socket.socket], *, reading: bool) -> list[socket.socket]:
    stay = []
    for peer in peers:
        try:
            gone = reading and not peer.recv(65536)
        except BlockingIOError:
            gone = False
        except OSError:
            gone = True
        if gone:
            peer.close()
        else:
            stay.append(peer)
    return stay


def _come(world: World, kind: str, seconds: float = 4.0) -> None:
    """Let them come to every socket there is. Whoever was there before is served meanwhile, whoever is new is answered
    or turned away at once, and root is told the status."""
    time.sleep(max(0.0, world.crowded_at + _SAID_ONCE - time.monotonic()))
    world.place.chmod(0o711)
    paths = [world.place / "s", world.place / "p", world.place / "d" / "control"]
    before = [probe.answered for probe in world.services]
    command = [sys.executable, __file__, kind, str(PEERS), str(seconds), *map(str, paths)]
    status: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as peers:
        while peers.poll() is None:
            for probe in world.services:
                probe.knock()
            began = time.monotonic()
            (status,) = world.poprelay.run("status", "--json").objects()
            world.truth.answered("status", world.truth.up, time.monotonic() - began)
            time.sleep(0.3)
        came, _ = peers.communicate()
    world.crowded_at = time.monotonic()
    assert peers.returncode == 0
    assert int(came) > PEERS / 10, f"only {came} peers came in"
    assert all(any(word.startswith("refused") for word in service["answers"]) for service in status["services"])
    assert all(probe.answered > was for probe, was in zip(world.services, before, strict=True))


def silent(world: World) -> None:
    """They connect and say nothing."""
    _come(world, "silent")


def half_open(world: World) -> None:
    """They begin to say something."""
    _come(world, "half", WAIT)


def slow(world: World) -> None:
    """They ask thousands of questions, and read no answer."""
    _come(world, "slow", WAIT + 2.0)


def garbage(world: World) -> None:
    """They send anything, as fast as they can."""
    _come(world, "garbage")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
