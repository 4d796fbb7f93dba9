"""What peers who ask for the metrics may cost a daemon, which is played here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.conftest import TurnedClock
from poprelay.config.section import Listen
from poprelay.daemon.metrics import metering
from poprelay.daemon.metrics.metering import KEPT, Metering


class Played:
    """A daemon that only counts how often it is asked how it is."""

    def __init__(self) -> None:
        self.asked = 0
        self.clock = TurnedClock()
        self.broken = False

    def status(self) -> dict[str, Any]:
        self.asked += 1
        if self.broken:
            raise RuntimeError("a bug")
        return {"problems": []}


class Short:
    """In the place of the metrics: a page that takes one look at the daemon."""

    def __init__(self, daemon: Played) -> None:
        self._daemon = daemon

    def page(self) -> bytes:
        self._daemon.status()
        return b"1\n"


@pytest.fixture
async def daemon(place: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Played]:
    monkeypatch.setattr(metering, "Metrics", Short)
    daemon: Any = Played()
    served = Metering(daemon, Listen(unix=place / "m"), 0o660)
    await served.start()
    yield daemon
    await served.stop()


async def ask(place: Path, data: bytes) -> bytes:
    """Everything that is said until the connection is closed."""
    reader, writer = await asyncio.open_unix_connection(place / "m")
    writer.write(data)
    said = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return said


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\n\r\n".encode()


async def test_of_many_requests_at_once_one_is_answered_and_the_connection_closed(daemon: Played, place: Path) -> None:
    said = await ask(place, get("/health") * 650)
    assert said.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in said
    assert daemon.asked == 1


@pytest.mark.parametrize("path", ["/metrics", "/health"])
async def test_a_page_is_made_once_a_second_however_often_it_is_asked_for(
    daemon: Played, place: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(daemon.clock, "monotonic", lambda: now)
    first = await ask(place, get(path))
    assert [await ask(place, get(path)) for _ in range(20)] == [first] * 20
    assert first.startswith(await ask(place, get(path, "HEAD")))
    assert daemon.asked == 1
    now += KEPT
    await ask(place, get(path))
    assert daemon.asked == 2


async def test_a_page_that_breaks_is_an_answer_too(daemon: Played, place: Path) -> None:
    daemon.broken = True
    assert (await ask(place, get("/health"))).startswith(b"HTTP/1.1 500 ")
