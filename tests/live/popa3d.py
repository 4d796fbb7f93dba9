"""popa3d, which listens on port 110 for IPv4 and says a login in two lines."""

from __future__ import annotations

from pathlib import Path

from live.rooted import Served


class Popa3d(Served):
    name = "popa3d"
    daemons = ("popa3d",)
    ipv6 = False

    def choose_ports(self) -> dict[str, int]:
        return {"pop3": 110}

    def script(self, root: Path) -> str:
        return "popa3d -D"
