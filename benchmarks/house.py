"""A daemon to be measured: its config, its log and its ledger in one directory, all by default but where it listens."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cpu import stay_on
from poprelay.daemon.client import ask, connect
from poprelay.errors import PoprelayError

PROGRAM: Final = Path(sys.executable).with_name("poprelay")
CONFIG: Final = """
[relay]
period = "{period}"
exclude_networks = []
[[sources]]
kind = "file"
path = "{place}/mail.log"
agents = ["dovecot"]
timezone = "UTC"
[[maps]]
kind = "lmdb"
path = "{place}/relay.lmdb"
[[services]]
kind = "socketmap"
listen = "unix:{place}/s"
[ledger]
path = "{place}/ledger.db"
[control]
listen = "unix:{place}/c"
"""
LINE: Final = (
    "{stamp} mx dovecot: imap-login: Login: user=<user{user}@example.com>, method=PLAIN, rip={address}, "
    "lip=192.0.2.25, mpid={pid}, TLS, session=<{session:x}>\n"
)


def address(number: int) -> str:
    """One of 16 million addresses that no rule refuses."""
    return f"81.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def logins(users: int, at: float, *, seed: int = 1) -> Iterator[str]:
    """Lines of Dovecot for ever, each a login of some user of so many, each user at his own address."""
    chance = random.Random(seed)
    stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(at))
    while True:
        user = chance.randrange(users)
        yield LINE.format(
            stamp=stamp, user=user, address=address(user), pid=chance.randrange(65536), session=chance.getrandbits(64)
        )


class House:
    """One directory with a config, and the daemon on it while it runs."""

    def __init__(self, place: Path, *, period: str = "3h") -> None:
        self.place = place
        self.config = place / "poprelay.toml"
        self.config.write_text(CONFIG.format(place=place, period=period))
        self.log = place / "mail.log"
        self.log.touch()
        self._process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self, core: int) -> Iterator[int]:
        """The daemon on one core, once it says that it runs; its process id."""
        with (self.place / "log").open("wb") as log:
            process = subprocess.Popen([PROGRAM, "run", "-c", self.config], stderr=log)
        stay_on(core, process.pid)
        try:
            until(lambda: self.status().get("state") == "running", 120)
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)

    def status(self) -> dict[str, Any]:
        """What the daemon says of itself; nothing while it does not answer."""
        try:
            with connect(self.place / "c") as connection:
                row: dict[str, Any] = next(iter(ask(connection, "status", {}, wait=60)))
                return row
        except PoprelayError:
            return {}

    def lookups(self) -> socket.socket:
        """A connection to the service."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(str(self.place / "s"))
        return peer


def allowed(peer: socket.socket, address: str) -> bool:
    """What the service says of an address."""
    request = f"relay {address}".encode()
    peer.sendall(b"%d:%s," % (len(request), request))
    return b"OK" in peer.recv(4096)


def until(condition: Any, seconds: float) -> None:
    """Wait for something that must come; a RuntimeError if it does not."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise RuntimeError(f"not within {seconds:g} seconds")
        time.sleep(0.02)


def fresh_environment() -> dict[str, str]:
    """The environment for a command that is measured."""
    return {**os.environ, "NO_COLOR": "1"}
