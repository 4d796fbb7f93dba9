"""The metrics' own small door: `/metrics` for Prometheus, `/health` for who only wants to know whether all is well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import structlog

from poprelay.config.listen import Listen
from poprelay.daemon.metrics.metrics import CONTENT_TYPE, Metrics
from poprelay.services.listener import Door
from poprelay.services.server import Server
from poprelay.wire import Bad
from poprelay.wire.http import Http, Page, reply

if TYPE_CHECKING:
    from poprelay.daemon.daemon import Daemon

log = structlog.get_logger()

MOST: Final = 20
"""Peers at once: a Prometheus or two, and a health check."""


class Metering:
    """Serves a daemon's metrics at one place."""

    def __init__(self, daemon: Daemon, listen: Listen, mode: int) -> None:
        metrics = Metrics(daemon)
        door = Door(listen, mode=mode, max_connections=MOST)
        self._server = Server(f"metrics {listen}", door, lambda: _Dialogue(daemon, metrics))

    async def start(self) -> None:
        """Raises ServiceError."""
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()


class _Dialogue:
    """One peer that asks for pages."""

    __slots__ = ("_daemon", "_engine", "_metrics", "finished", "refused")

    def __init__(self, daemon: Daemon, metrics: Metrics) -> None:
        self._daemon = daemon
        self._metrics = metrics
        self._engine = Http()
        self.refused: Bad | None = None
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        replies: list[bytes] = []
        for request in self._engine.feed(data):
            if isinstance(request, Bad):
                self.refused = request
                replies.append(reply("400 Bad Request", "text/plain", f"{request.why}\n".encode()))
                break
            replies.append(self._answer(request))
        return b"".join(replies)

    def _answer(self, page: Page) -> bytes:
        try:
            if page.path == "/metrics":
                return reply("200 OK", CONTENT_TYPE, self._metrics.page(), head=page.head)
            if page.path == "/health":
                problems = self._daemon.status()["problems"]
                body = json.dumps({"healthy": not problems, "problems": problems}).encode() + b"\n"
                status = "503 Service Unavailable" if problems else "200 OK"
                return reply(status, "application/json", body, head=page.head)
        except Exception:  # a bug below: who asks must not take the daemon down
            log.exception("metrics cannot be read")
            return reply("500 Internal Server Error", "text/plain", b"see the log of poprelay\n", head=page.head)
        return reply("404 Not Found", "text/plain", b"there are /metrics and /health\n", head=page.head)
