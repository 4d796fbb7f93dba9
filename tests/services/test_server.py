"""The limits that every service keeps, shown with a protocol of one-byte requests: `?` asks, `(` begins, `x` is bad."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from poprelay.config.section import Listen
from poprelay.errors import ServiceError
from poprelay.services import server as module
from poprelay.services.listener import Door, bind
from poprelay.services.server import Server
from poprelay.wire import Bad

Peer = Callable[[Door], socket.socket]
Start = Callable[..., Awaitable[Server]]
TICK = 0.02


class Questions:
    """`?` is answered `!`, a hundred times over for `*`; `(` waits for `)`; `x` breaks the protocol."""

    def __init__(self) -> None:
        self.refused: Bad | None = None
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        if b"x" in data:
            self.refused = Bad("malformed", "an x")
            return b"bad"
        return b"!" * data.count(b"?") + b"!" * 20_000 * data.count(b"*")


@pytest.fixture
async def start(unix_door: Door, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(module, "FAREWELL", 0.2)
    started: list[Server] = []

    async def make(*, max_connections: int = 5, idle: float = 30.0, sockets: tuple[socket.socket, ...] = ()) -> Server:
        door = Door(unix_door.listen, max_connections=max_connections, idle=idle)
        server = Server("questions", door, Questions, tick=TICK)
        await server.start(sockets)
        started.append(server)
        return server

    yield make
    for server in started:
        await server.stop()


async def ask(peer: socket.socket, data: bytes = b"?") -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, data)
    return await asyncio.wait_for(loop.sock_recv(peer, 100_000), 5)


async def closed(peer: socket.socket) -> bool:
    """Whether the other side closes within 5 seconds, with nothing (more) said."""
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 1), 5) == b""
    except ConnectionResetError:
        return True


async def test_a_peer_may_ask_as_often_as_it_likes(start: Start, unix_door: Door, peer: Peer) -> None:
    await start()
    one = peer(unix_door)
    assert [await ask(one), await ask(one), await ask(one, b"??")] == [b"!", b"!", b"!!"]


async def test_a_peer_beyond_the_limit_is_closed_at_once_and_the_others_are_served(
    start: Start, unix_door: Door, peer: Peer
) -> None:
    server = await start(max_connections=2)
    inside = [peer(unix_door), peer(unix_door)]
    assert [await ask(one) for one in inside] == [b"!", b"!"]
    assert await closed(peer(unix_door))
    assert [await ask(one) for one in inside] == [b"!", b"!"]
    assert server.counts() == {"refused_crowded": 1, "connections": 2}
    inside[0].close()
    assert await ask(inside[1]) == b"!"
    assert await ask(peer(unix_door)) == b"!"


async def test_a_peer_that_breaks_the_protocol_gets_its_answer_and_is_closed(
    start: Start, unix_door: Door, peer: Peer
) -> None:
    server = await start()
    one = peer(unix_door)
    assert await ask(one, b"x") == b"bad"
    assert await closed(one)
    assert server.counts() == {"refused_malformed": 1, "connections": 0}


async def test_a_peer_that_asks_nothing_is_closed(start: Start, unix_door: Door, peer: Peer) -> None:
    server = await start(idle=0.2)
    silent, busy = peer(unix_door), peer(unix_door)
    begin = time.monotonic()
    answers = 0
    while time.monotonic() - begin < 0.5:
        answers += (await ask(busy)) == b"!"
        await asyncio.sleep(0.02)
    assert answers > 5
    assert await closed(silent)
    assert server.counts() == {"refused_idle": 1, "connections": 1}


async def test_half_a_request_is_waited_for_no_longer_however_it_trickles(
    start: Start, unix_door: Door, peer: Peer
) -> None:
    server = await start()
    slow = peer(unix_door)
    loop = asyncio.get_running_loop()

    async def trickle() -> None:
        while True:
            await loop.sock_sendall(slow, b"(")
            await asyncio.sleep(0.02)

    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        await asyncio.wait_for(trickle(), 5)
    assert server.counts() == {"refused_stalled": 1, "connections": 0}


async def test_a_request_that_is_finished_in_time_is_answered(start: Start, unix_door: Door, peer: Peer) -> None:
    await start()
    one = peer(unix_door)
    for _ in range(4):
        await asyncio.get_running_loop().sock_sendall(one, b"(")
        await asyncio.sleep(0.1)
        assert await ask(one, b")?") == b"!"


async def test_a_peer_that_does_not_read_its_answers_is_dropped(start: Start, unix_door: Door, peer: Peer) -> None:
    server = await start()
    deaf, fine = peer(unix_door), peer(unix_door)
    await asyncio.get_running_loop().sock_sendall(deaf, b"*" * 100)
    assert await ask(fine) == b"!"
    await asyncio.sleep(0.1)
    assert server.counts()["connections"] == 2
    await asyncio.sleep(0.3)
    assert await ask(fine) == b"!"
    assert server.counts() == {"refused_slow": 1, "connections": 1}


async def test_a_peer_that_reads_late_gets_all_of_its_answers(start: Start, unix_door: Door, peer: Peer) -> None:
    await start()
    late = peer(unix_door)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(late, b"*" * 100)
    await asyncio.sleep(0.1)
    received = 0
    while received < 100 * 20_000:
        received += len(await asyncio.wait_for(loop.sock_recv(late, 1_000_000), 5))
    assert received == 100 * 20_000
    assert await ask(late) == b"!"


async def test_what_keeps_happening_is_logged_once_and_counted_each_time(
    start: Start, unix_door: Door, peer: Peer
) -> None:
    server = await start()
    with capture_logs() as logs:
        for _ in range(3):
            await ask(peer(unix_door), b"x")
    assert server.counts()["refused_malformed"] == 3
    assert logs == [
        {"event": "peer refused", "log_level": "warning", "service": "questions", "reason": "malformed", "why": "an x"}
    ]


async def test_stopping_answers_what_has_come_and_removes_the_socket(start: Start, unix_door: Door, peer: Peer) -> None:
    server = await start()
    one = peer(unix_door)
    assert await ask(one) == b"!"
    one.send(b"??")
    await server.stop()
    assert await asyncio.get_running_loop().sock_recv(one, 10) == b"!!"
    assert await closed(one)
    assert unix_door.listen.unix is not None
    assert not unix_door.listen.unix.exists()
    assert server.counts()["connections"] == 0


async def test_stopping_does_not_wait_for_a_peer_that_does_not_read(start: Start, unix_door: Door, peer: Peer) -> None:
    server = await start()
    deaf = peer(unix_door)
    await asyncio.get_running_loop().sock_sendall(deaf, b"*" * 100)
    await asyncio.sleep(0.05)
    await asyncio.wait_for(server.stop(), 2)
    await asyncio.sleep(0)
    assert server.counts()["connections"] == 0


async def test_stopping_leaves_the_socket_of_a_successor(start: Start, unix_door: Door, peer: Peer) -> None:
    server = await start()
    path = unix_door.listen.unix
    assert path is not None
    path.unlink()
    with bind(unix_door.listen) as successor:
        successor.listen()
        await server.stop()
        assert path.exists()


async def test_it_can_be_stopped_twice_and_started_again(start: Start, unix_door: Door, peer: Peer) -> None:
    server = await start()
    await server.stop()
    await server.stop()
    await server.start()
    assert await ask(peer(unix_door)) == b"!"


async def test_a_socket_that_was_handed_over_is_served_and_survives(
    start: Start, unix_door: Door, peer: Peer, tmp_path: Path
) -> None:
    elsewhere = Door(Listen(unix=tmp_path / "handed-over", host="", port=0))
    with bind(elsewhere.listen) as given:
        given.listen()
        for _ in range(2):
            server = await start(sockets=(given,))
            assert await ask(peer(elsewhere)) == b"!"
            await server.stop()
            assert elsewhere.listen.unix is not None
            assert elsewhere.listen.unix.exists()
        waiting = peer(elsewhere)
        await start(sockets=(given,))
        assert await ask(waiting) == b"!"
    assert unix_door.listen.unix is not None
    assert not unix_door.listen.unix.exists()


async def test_a_door_that_cannot_be_opened_is_a_service_error_and_nothing_is_left(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(ServiceError):
        await start()
    assert (tmp_path / "s").read_text() == "precious"


def test_the_more_peers_there_are_the_less_each_may_send_at_once() -> None:
    server = Server("questions", Door(Listen(host="127.0.0.1"), max_connections=2000), Questions)
    peers: list[Any] = [object() for _ in range(1000)]
    alone = len(server.buffer)
    for peer in peers:
        assert server.admit(peer, 0)
    assert len(server.buffer) * len(peers) <= 8 * alone
    for peer in peers:
        server.leave(peer)
    assert len(server.buffer) == alone
