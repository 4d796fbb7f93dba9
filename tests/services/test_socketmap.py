from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from poprelay.config.section import Problem, Section
from poprelay.model import Absent, Unavailable
from poprelay.services import Find
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.socketmap import SocketmapDialogue, SocketmapService
from poprelay.wire.netstring import encode
from poprelay.wire.socketmap import found

Peer = Callable[[Door], socket.socket]
pieces = st.sampled_from(
    [b"17:relay 192.0.2.7,", b"15:relay 192.0.2.7,", b"OK OK", b"5:", b",", b"0:,", b"6:a b,", b"9"]
)


@given(st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=20))
def test_no_garbage_gets_a_permitting_answer_nor_an_exception(stream: list[bytes]) -> None:
    dialogue = SocketmapDialogue(Asking("socketmap", lambda address: Absent()), "", found("OK"))
    said = b"".join(dialogue.receive(piece) for piece in stream)
    assert re.fullmatch(rb"(9:NOTFOUND ,)*(\d+:PERM [a-z0-9 :]+,)?", said)


def test_a_reason_repeats_nothing_that_the_peer_sent() -> None:
    dialogue = SocketmapDialogue(Asking("socketmap", lambda address: Absent()), "relay", found("OK"))
    assert dialogue.receive(encode(b"SECRET 192.0.2.7")) == encode(b"PERM no such map")


def test_any_map_is_answered_unless_the_config_names_one(find: Find) -> None:
    dialogue = SocketmapDialogue(Asking("socketmap", find), "", found("RELAY"))
    assert dialogue.receive(encode(b"popauth 192.0.2.7") + encode(b"relay 192.0.2.7")) == encode(b"OK RELAY") * 2


def test_why_the_ledger_cannot_tell_reaches_the_log_of_postfix_in_plain_characters() -> None:
    asking = Asking("socketmap", lambda address: Unavailable("caf\u00e9\n" + "x" * 1000))
    reply = SocketmapDialogue(asking, "", found("OK")).receive(encode(b"relay 192.0.2.7"))
    assert reply == encode(b"TEMP caf??" + b"x" * 195)


async def ask(peer: socket.socket, payload: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, encode(payload))
    return await asyncio.wait_for(loop.sock_recv(peer, 10_000), 5)


@pytest.mark.parametrize("where", ["unix", "127.0.0.1", "::1"])
async def test_postfix_is_answered_over_each_kind_of_socket(
    find: Find, unix_door: Door, loopback_door: Callable[[str], Door], peer: Peer, where: str
) -> None:
    door = unix_door if where == "unix" else loopback_door(where)
    service = SocketmapService(door, map="relay")
    await service.start(find)
    try:
        one = peer(door)
        assert await ask(one, b"relay unknown") == b"9:NOTFOUND ,"
        assert await ask(one, b"relay 192.0.2.7") == b"5:OK OK,"
        assert await ask(one, b"relay 192.0.2.8") == b"9:NOTFOUND ,"
        assert await ask(one, b"relay 192.0.2.99") == b"16:TEMP starting up,"
        with capture_logs() as logs:
            assert (await ask(one, b"relay 192.0.2.66")).startswith(b"44:TEMP internal error")
            assert await ask(one, b"relax 192.0.2.7") == b"16:PERM no such map,"
        assert [entry["event"] for entry in logs] == ["the ledger failed to answer", "peer refused"]
        assert await asyncio.get_running_loop().sock_recv(one, 1) == b""
        assert service.counts() == {
            "found": 1, "absent": 2, "unavailable": 2, "failed": 1, "refused_unknown_map": 1, "connections": 0
        }  # fmt: skip
    finally:
        await service.stop()


def test_a_service_is_named_after_its_kind_and_place(unix_door: Door) -> None:
    assert SocketmapService(unix_door).name == f"socketmap unix:{unix_door.listen.unix}"


async def test_a_value_that_must_not_be_sent_never_starts(unix_door: Door, find: Find) -> None:
    with pytest.raises(ValueError, match="cannot be the value"):
        await SocketmapService(unix_door, value="").start(find)


def read(**table: object) -> tuple[SocketmapService, list[str]]:
    problems: list[Problem] = []
    section = Section({"listen": "unix:/run/s", **table}, ("services", 0), problems)
    service = SocketmapService.from_section(section)
    section.finish()
    return service, [f"{problem.path[-1]}: {problem.message}" for problem in problems]


def test_the_config_may_name_the_map_and_the_value() -> None:
    service, problems = read(map="popauth", value="RELAY")
    assert problems == []
    assert (service._map, service._value) == ("popauth", "RELAY")


@pytest.mark.parametrize("name", ["two words", "caf\u00e9", "tab\t"])
def test_a_name_that_no_request_can_hold_is_refused(name: str) -> None:
    assert read(map=name)[1] == ["map: a map's name is printable ASCII without a space"]


@pytest.mark.parametrize("value", [" ", "OK\n", "\u00d6K"])
def test_a_value_that_cannot_be_sent_is_refused(value: str) -> None:
    assert read(value=value)[1] == ["value: a value is 1 to 1,000 printable ASCII characters"]


def test_an_empty_value_is_refused_once() -> None:
    assert read(value="")[1] == ["value: is empty"]


def test_sendmail_writes_ipv6_in_its_own_way_and_is_told_relay(find: Find) -> None:
    service, problems = read(**{"for": "sendmail"})
    assert problems == []
    dialogue = service.dialogue(Asking("socketmap", find))()
    assert dialogue.receive(encode(b"popauth ipv6:2001:db8:0:0:0:0:0:7")) == encode(b"OK RELAY")
    assert dialogue.receive(encode(b"popauth 192.0.2.7")) == encode(b"OK RELAY")
    assert dialogue.receive(encode(b"popauth ipv6:mx.example.org")) == encode(b"NOTFOUND ")


def test_postfix_never_writes_such_a_prefix_so_it_is_no_address_there(find: Find) -> None:
    dialogue = read()[0].dialogue(Asking("socketmap", find))()
    assert dialogue.receive(encode(b"relay ipv6:2001:db8::7")) == encode(b"NOTFOUND ")


def test_an_unknown_asker_is_refused() -> None:
    assert "for" in read(**{"for": "qmail"})[1][0]
