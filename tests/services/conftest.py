from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poprelay.config.section import Listen
from poprelay.model import Absent, Address, Allowed, Grant, Outcome, Unavailable
from poprelay.services import Find
from poprelay.services.listener import Door


@pytest.fixture
def find() -> Find:
    """A ledger that allows 192.0.2.7 and 2001:db8::7, cannot tell about 192.0.2.99, and breaks on 192.0.2.66."""

    def answer(address: Address) -> Outcome:
        if address == "192.0.2.66":
            raise ZeroDivisionError(address)
        if address in {"192.0.2.7", "2001:db8::7"}:
            return Allowed((Grant(address, "ann", "login", 0.0, 60.0, 0.0, 0.0, 60.0, "dovecot"),))
        return Unavailable("starting up") if address == "192.0.2.99" else Absent()

    return answer


@pytest.fixture
def unix_door(tmp_path: Path) -> Door:
    return Door(Listen(unix=tmp_path / "s", host="", port=0))


@pytest.fixture
def loopback_door() -> Callable[[str], Door]:
    def make(host: str) -> Door:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as free:
            free.bind((host, 0))
            return Door(Listen(unix=None, host=host, port=free.getsockname()[1]))

    return make


@pytest.fixture
def peer() -> Iterator[Callable[[Door], socket.socket]]:
    """Connects to a door; everything that it opened is closed at the end."""
    opened: list[socket.socket] = []

    def connect(door: Door) -> socket.socket:
        listen = door.listen
        if listen.unix is not None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            opened.append(sock)
            sock.connect(str(listen.unix))
        else:
            sock = socket.create_connection((listen.host, listen.port))
            opened.append(sock)
        sock.setblocking(False)
        return sock

    yield connect
    for sock in opened:
        sock.close()
