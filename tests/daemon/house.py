"""One daemon as a process, with its log and its files, below one short path."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from live.daemon import Poprelay
from live.running import until
from poprelay.daemon.client import ask, connect
from poprelay.errors import PoprelayError

SETTINGS = """
[relay]
period = "30m"
exclude_networks = []
{relay}
[[sources]]
kind = "file"
path = "{place}/mail.log"
agents = ["{agent}"]
{parts}
"""
TEXT_MAP = '[[maps]]\nkind = "text"\npath = "{place}/relay.txt"\n'
SPOOL_MAP = '[[maps]]\nkind = "spool"\npath = "{place}/spool"\n'
SOCKETMAP = '[[services]]\nkind = "socketmap"\nlisten = "unix:{place}/s"\n'
OTHER_LOG = '[[sources]]\nkind = "file"\npath = "{place}/other.log"\nagents = ["dovecot"]\n'
ROOT = os.geteuid() == 0


class House:
    """One daemon with its log, its files and its control socket, below one short path."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.log = place / "mail.log"
        self.log.touch()
        self.poprelay = Poprelay(place / "d", self.settings())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.poprelay.running:
            self.poprelay.kill()

    def settings(self, *parts: str, relay: str = "", agent: str = "dovecot") -> str:
        text = "\n".join(parts or (TEXT_MAP, SOCKETMAP))
        return SETTINGS.format(place=self.place, relay=relay, agent=agent, parts=text.format(place=self.place))

    def start(self, *options: str) -> None:
        self.poprelay.start(*options)
        until(lambda: self.status()["state"] == "running", what="it has caught up")

    def ask(self, operation: str, **arguments: Any) -> list[dict[str, Any]]:
        return list(ask(connect(self.poprelay.place / "control"), operation, arguments, wait=10))

    def status(self) -> dict[str, Any]:
        row: dict[str, Any] = self.ask("status")[0]
        return row

    def answers(self) -> bool:
        try:
            return bool(self.status())
        except PoprelayError:
            return False

    def part(self, role: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(part for part in self.status()[role] if part["name"] == name)
        return found

    def say(self, message: str) -> None:
        """What Dovecot logs now."""
        with self.log.open("a") as log:
            log.write(f"{datetime.now():%b %e %H:%M:%S} mx dovecot: {message}\n")

    def login(self, address: str, user: str = "ann", *, log: Path | None = None) -> None:
        line = (
            f"imap-login: Login: user=<{user}>, method=PLAIN, rip={address}, lip=1.1.1.1, mpid=1, session=<{address}>"
        )
        with (log or self.log).open("a") as file:
            file.write(f"{datetime.now():%b %e %H:%M:%S} mx dovecot: {line}\n")

    def listed(self) -> set[str]:
        return {row["address"] for row in self.ask("list")}

    def in_text(self) -> set[str]:
        lines = (self.place / "relay.txt").read_text().splitlines()
        return {line for line in lines if not line.startswith("#")}

    def reload(self, settings: str) -> None:
        before = self.printed().count("reloaded") + self.printed().count("reload refused")
        self.poprelay.configure(settings)
        self.poprelay.reload()
        until(lambda: self.printed().count("reloaded") + self.printed().count("reload refused") > before)

    def printed(self) -> str:
        return self.poprelay.log.read_text()


def lookup(sock: socket.socket, address: str) -> str:
    """Ask over one connection of a socketmap."""
    query = f"relay {address}".encode()
    sock.sendall(b"%d:%s," % (len(query), query))
    return sock.recv(1000).decode()
