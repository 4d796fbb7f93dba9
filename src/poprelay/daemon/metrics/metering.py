"""The metrics' own small door: `/metrics` for Prometheus, `/health` for who only wants to know whether all is well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from poprelay.config.listen import Listen
from poprelay.daemon.metrics.metrics import CONTENT_TYPE, Metrics
from poprelay.services.listener import Door
from poprelay.services.server import Server
from poprelay.wire import Bad
from poprelay.wire.http import Http, reply

if TYPE_CHECKING:
    from poprelay.daemon.daemon import Daemon

log = structlog.get_logger()

MOST: Final = 20
"""Peers at once: a Prometheus or two, and a health check."""


KEPT: Final = 1.0
"""Seconds for which a page is kept: making it holds up the loop, however often peers ask and ask again."""


class Metering:
    """Serves a daemon's metrics at one place."""

    def __init__(self, daemon: Daemon, listen: Listen, mode: int) -> None:
        pages = _Pages(daemon)
        door = Door(listen, mode=mode, max_connections=MOST)
        self._server = Server(f"metrics {listen}", door, lambda: _Dialogue(pages))

    async def start(self) -> None:
        """Raises ServiceError."""
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()


class _Made(NamedTuple):
    """One page as it is sent."""

    status: str
    kind: str
    body: bytes


class _Pages:
    """What there is to ask for, each made when it is asked for, and not again within `KEPT`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._metrics = Metrics(daemon)
        self._makers = {"/metrics": self._measure, "/health": self._judge}
        self._kept: dict[str, tuple[float, _Made]] = {}

    def find(self, path: str) -> _Made:
        """The page at that path, or that there is none."""
        if path not in self._makers:
            return _Made("404 Not Found", "text/plain", b"there are /metrics and /health\n")
        now = self._daemon.clock.monotonic()
        kept = self._kept.get(path)
        if kept is None or now - kept[0] >= KEPT:
            kept = self._kept[path] = now, self._make(path)
        return kept[1]

    def _make(self, path: str) -> _Made:
        try:
            return self._makers[path]()
        except Exception:  # a bug below: who asks must not take the daemon down
            log.exception("metrics cannot be read")
            return _Made("500 Internal Server Error", "text/plain", b"see the log of poprelay\n")

    def _measure(self) -> _Made:
        return _Made("200 OK", CONTENT_TYPE, self._metrics.page())

    def _judge(self) -> _Made:
        problems = self._daemon.status()["problems"]
        body = json.dumps({"healthy": not problems, "problems": problems}).encode() + b"\n"
        return _Made("503 Service Unavailable" if problems else "200 OK", "application/json", body)


class _Dialogue:
    """One peer, and the one page that it asks for."""

    __slots__ = ("_engine", "_pages", "finished", "refused")

    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._engine = Http()
        self.refused: Bad | None = None
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        request = self._engine.feed(data)
        if request is None:
            return b""
        if isinstance(request, Bad):
            self.refused = request
            return reply("400 Bad Request", "text/plain", f"{request.why}\n".encode())
        self.finished = True
        return reply(*self._pages.find(request.path), head=request.head)
