from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from poprelay.config.section import Problem, Section
from poprelay.model import Absent
from poprelay.services import Find
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.readsocket import ReadSocketDialogue, ReadSocketService

Peer = Callable[[Door], socket.socket]


async def ask(peer: socket.socket, line: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, line)
    said = b""
    while piece := await asyncio.wait_for(loop.sock_recv(peer, 100), 5):
        said += piece
    return said


async def test_each_question_is_answered_and_its_connection_closed(find: Find, unix_door: Door, peer: Peer) -> None:
    service = ReadSocketService(unix_door)
    await service.start(find)
    try:
        asked = [b"192.0.2.7\n", b"2001:db8::7\n", b"192.0.2.8\n", b"mx.example.org\n", b"\n", b"192.0.2.99\n"]
        said = [await ask(peer(unix_door), line) for line in asked]
        assert said == [b"yes", b"yes", b"no", b"no", b"no", b"unavailable"]
        assert await ask(peer(unix_door), b"x" * 300) == b"unavailable"
        counts = service.counts()
        assert (counts["found"], counts["absent"], counts["unavailable"]) == (2, 3, 1)
        assert counts["refused_too_long"] == 1
    finally:
        await service.stop()


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_no_garbage_gets_a_permitting_answer(pieces: list[bytes]) -> None:
    dialogue = ReadSocketDialogue(Asking("readsocket", lambda address: Absent()))
    assert b"".join(dialogue.receive(piece) for piece in pieces) in (b"", b"no", b"unavailable")


def test_the_config_says_where() -> None:
    problems: list[Problem] = []
    section = Section({"listen": "unix:/run/x", "mode": "0666"}, ("services", 0), problems)
    assert ReadSocketService.from_section(section).name == "readsocket unix:/run/x"
    section.finish()
    assert problems == []
