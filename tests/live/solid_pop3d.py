"""solid-pop3d, begun for each connection."""

from __future__ import annotations

import sys
from pathlib import Path

from live import inetd
from live.network import free_ports
from live.rooted import Served


class SolidPop3d(Served):
    name = "solid-pop3d"
    daemons = ("spop3d",)

    def choose_ports(self) -> dict[str, int]:
        [port] = free_ports(1)
        return {"pop3": port}

    def script(self, root: Path) -> str:
        return f"{sys.executable} {inetd.__file__} {self.ports['pop3']} /usr/sbin/solid-pop3d &"
