from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from poprelay.config.section import Problem, Section
from poprelay.model import Absent
from poprelay.services import Find
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.tcp_table import TcpTableDialogue, TcpTableService

Peer = Callable[[Door], socket.socket]


async def test_postfix_is_answered(find: Find, loopback_door: Callable[[str], Door], peer: Peer) -> None:
    door = loopback_door("127.0.0.1")
    service = TcpTableService(door)
    await service.start(find)
    loop = asyncio.get_running_loop()
    try:
        one = peer(door)

        async def ask(line: bytes) -> bytes:
            await loop.sock_sendall(one, line)
            return await asyncio.wait_for(loop.sock_recv(one, 1000), 5)

        assert await ask(b"get 192.0.2.7\n") == b"200 OK\n"
        assert await ask(b"get 2001%3Adb8%3A%3A7\n") == b"200 OK\n"
        assert await ask(b"get unknown\nget 192.0.2\n") == b"500 absent\n500 absent\n"
        assert await ask(b"get 192.0.2.99\n") == b"400 starting%20up\n"
        assert await ask(b"put 192.0.2.7 OK\n") == b"400 not%20a%20get\n"
        assert await loop.sock_recv(one, 1) == b""
        assert service.counts()["refused_malformed"] == 1
    finally:
        await service.stop()


@given(
    st.lists(st.one_of(st.sampled_from([b"get ", b"192.0.2.7", b"\n", b"%4F"]), st.binary(max_size=20)), max_size=20)
)
def test_no_garbage_gets_a_permitting_answer(pieces: list[bytes]) -> None:
    dialogue = TcpTableDialogue(Asking("tcp_table", lambda address: Absent()))
    said = b"".join(dialogue.receive(piece) for piece in pieces)
    assert re.fullmatch(rb"(500 absent\n)*(400 [!-~]+\n)?", said)


def test_a_unix_socket_is_refused() -> None:
    problems: list[Problem] = []
    TcpTableService.from_section(Section({"listen": "unix:/run/x"}, ("services", 0), problems))
    assert [problem.message for problem in problems] == ["Postfix asks a tcp: table over TCP only"]
