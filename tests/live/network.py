"""A network of two hosts: the site, where the servers run, and the world, where the clients are.

Both are network namespaces of this process's own, joined by one cable, with globally routable addresses that lead
nowhere else: poprelay's default rules run on them unlifted. The calling thread moves between them: what it starts while
the network stands (sockets, processes) is at the site; `connect` opens a connection from an address in the world.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
import socket
import subprocess
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from live.packages import staged

SITE4: Final = "9.9.9.9"
SITE6: Final = "2620:fe::9"
GATEWAY4: Final = "9.9.9.1"
GATEWAY6: Final = "2620:fe::1"

ANN4: Final = "8.8.4.4"
ANN6: Final = "2606:4700::1111"
BOB4: Final = "1.0.0.1"
BOB6: Final = "2606:4700::1001"
EVE4: Final = "208.67.222.222"
TRUSTED4: Final = "208.67.220.220"

_WORLD: Final = (ANN4, ANN6, BOB4, BOB6, EVE4, TRUSTED4)
_UPLINK: Final = "02:00:00:00:00:01"
_CABLE: Final = "02:00:00:00:00:02"
_CLONE_NEWNET: Final = 0x40000000
_PORTS: Final = itertools.cycle(random.sample(range(10_000, 32_000), 22_000))
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Network:
    """The two hosts; a context manager, inside which this thread is at the site."""

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._world = self._site = -1

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            home = _descriptor(undo)
            undo.callback(_enter, home)
            _unshare()
            self._world = _descriptor(undo)
            _unshare()
            self._site = _descriptor(undo)
            world = f"/proc/{os.getpid()}/fd/{self._world}"
            _ip(
                "link set lo up",
                f"link add uplink address {_UPLINK} type veth peer name cable address {_CABLE} netns {world}",
                f"addr add {SITE4}/24 dev uplink",
                f"addr add {SITE6}/64 dev uplink nodad",
                "link set uplink addrgenmode none up",
                f"route add default via {GATEWAY4}",
            )
            with self._in_the_world():
                _ip(
                    "link set lo up",
                    f"addr add {GATEWAY4}/24 dev cable",
                    f"addr add {GATEWAY6}/64 dev cable nodad",
                    *(f"addr add {address}/128 dev cable nodad" for address in _WORLD if ":" in address),
                    *(f"addr add {address}/32 dev cable" for address in _WORLD if ":" not in address),
                    "link set cable addrgenmode none up",
                    f"neigh add {SITE6} lladdr {_UPLINK} dev cable nud permanent",
                )
            _ip(  # neighbour discovery loses its first second on a new cable
                f"neigh add {GATEWAY6} lladdr {_CABLE} dev uplink nud permanent",
                f"route add ::/0 via {GATEWAY6}",
            )
            self._open = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def connect(self, source: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        """Connect from `source`, an address in the world (or the site itself), to a port of the site."""
        to = SITE6 if ":" in source else SITE4
        if source in (SITE4, SITE6):
            return socket.create_connection((to, port), timeout, (source, 0))
        with self._in_the_world():
            return socket.create_connection((to, port), timeout, (source, 0))

    @contextlib.contextmanager
    def _in_the_world(self) -> Iterator[None]:
        _enter(self._world)
        try:
            yield
        finally:
            _enter(self._site)


class Loopback:
    """No network at all: clients are addresses of 127.0.0.0/8 and ::1, as is the site."""

    def connect(self, source: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        """Connect from `source`, a loopback address, to a port of this host."""
        return socket.create_connection(("::1" if ":" in source else "127.0.0.1", port), timeout, (source, 0))


def free_ports(count: int) -> list[int]:
    """Ports at which nothing is, at any address of this host; none is given again soon.

    They are not among those that the kernel gives to clients (ip(7), ip_local_port_range), so that none of these takes
    one before its server is there.
    """
    return list(itertools.islice(filter(_is_free, _PORTS), count))


def _is_free(port: int) -> bool:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    with contextlib.suppress(OSError), socket.create_server(("", port), family=family, dualstack_ipv6=both):
        return True
    return False


def listening(port: int) -> bool:
    """Whether something at the site accepts connections on `port` of its loopback address."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def _descriptor(undo: contextlib.ExitStack) -> int:
    """A handle on the network that this thread is in."""
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    undo.callback(os.close, fd)
    return fd


def _unshare() -> None:
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")


def _enter(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*orders: str) -> None:
    done = subprocess.run(
        staged("iproute2", "ip", "-batch", "-"), input="\n".join(orders), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
