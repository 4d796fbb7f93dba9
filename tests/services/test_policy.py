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
from poprelay.model import Absent, Address, Allowed, Grant, Outcome, Unavailable
from poprelay.services import Find
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.policy import PolicyDialogue, PolicyService, decide
from poprelay.wire.policy import Action, Delegated

Peer = Callable[[Door], socket.socket]
GRANT = Grant(Address("192.0.2.7"), "ann", "login", 0.0, 60.0, 0.0, 0.0, 60.0, "dovecot")
OUTCOMES = [Allowed((GRANT,)), Allowed(()), Absent(), Unavailable("starting up")]
STATES = ["CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN", "", "rcpt"]


def request(state: str = "RCPT") -> Delegated:
    return Delegated(state, "192.0.2.7", b"request=smtpd_access_policy")


def test_a_live_grant_permits_at_rcpt_and_nowhere_else() -> None:
    actions = {state: decide(request(state), Allowed((GRANT,))) for state in STATES}
    assert actions.pop("RCPT") is Action.OK
    assert set(actions.values()) == {Action.DUNNO}


@pytest.mark.parametrize("state", STATES)
def test_cannot_tell_is_never_an_ok_nor_a_dunno(state: str) -> None:
    assert decide(request(state), Unavailable("starting up")) is Action.DEFER_IF_REJECT


@pytest.mark.parametrize("state", STATES)
def test_no_grant_is_no_opinion(state: str) -> None:
    assert decide(request(state), Absent()) is Action.DUNNO
    assert decide(request(state), Allowed(())) is Action.DUNNO


@given(st.sampled_from(OUTCOMES), st.sampled_from(STATES) | st.text(), st.binary())
def test_a_decision_is_ok_for_a_grant_only_whatever_the_request_holds(
    outcome: Outcome, state: str, lines: bytes
) -> None:
    action = decide(Delegated(state, "192.0.2.7", lines), outcome)
    assert isinstance(action, Action)
    assert action is not Action.OK or (isinstance(outcome, Allowed) and outcome.grants)


pieces = st.sampled_from(
    [
        b"request=smtpd_access_policy\n",
        b"protocol_state=RCPT\n",
        b"client_address=192.0.2.8\n",
        b"client_name=192.0.2.7\n",
        b"action=OK\n",
        b"\n",
        b"\n\n",
        b"\0",
        b"=",
    ]
)


@given(st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=20))
def test_no_garbage_gets_a_permitting_answer_nor_an_exception(stream: list[bytes]) -> None:
    dialogue = PolicyDialogue(Asking("policy", lambda address: Absent()))
    said = b"".join(dialogue.receive(piece) for piece in stream)
    assert re.fullmatch(rb"(action=DUNNO\n\n)*", said)


def wire(address: str, state: str = "RCPT") -> bytes:
    return f"request=smtpd_access_policy\nprotocol_state={state}\nclient_address={address}\n\n".encode()


async def ask(peer: socket.socket, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, data)
    return await asyncio.wait_for(loop.sock_recv(peer, 10_000), 5)


@pytest.mark.parametrize("where", ["unix", "127.0.0.1", "::1"])
async def test_postfix_is_answered_over_each_kind_of_socket(
    find: Find, unix_door: Door, loopback_door: Callable[[str], Door], peer: Peer, where: str
) -> None:
    door = unix_door if where == "unix" else loopback_door(where)
    service = PolicyService(door)
    await service.start(find)
    try:
        one = peer(door)
        assert await ask(one, wire("192.0.2.7")) == b"action=OK\n\n"
        assert await ask(one, wire("192.0.2.8")) == b"action=DUNNO\n\n"
        assert await ask(one, wire("192.0.2.7", "DATA")) == b"action=DUNNO\n\n"
        assert (await ask(one, wire("192.0.2.99"))).startswith(b"action=DEFER_IF_REJECT 4.3.0 Service temporarily")
        with capture_logs() as logs:
            assert (await ask(one, wire("192.0.2.66"))).startswith(b"action=DEFER_IF_REJECT 4.3.0 ")
            assert await ask(one, b"request=junk\n\n") == b""
        assert [entry["event"] for entry in logs] == ["the ledger failed to answer", "peer refused"]
        assert service.counts() == {
            "found": 1, "absent": 2, "unavailable": 2, "failed": 1, "refused_malformed": 1, "connections": 0
        }  # fmt: skip
    finally:
        await service.stop()


def test_a_service_is_named_after_its_kind_and_place(unix_door: Door) -> None:
    assert PolicyService(unix_door).name == f"policy unix:{unix_door.listen.unix}"


async def test_before_its_start_a_service_counts_nothing_and_can_be_stopped(unix_door: Door) -> None:
    service = PolicyService(unix_door)
    await service.stop()
    assert service.counts() == {}


def test_the_config_of_a_policy_service_is_its_door_and_outlasts_an_idle_postfix() -> None:
    problems: list[Problem] = []
    section = Section({"listen": "unix:/run/s"}, ("services", 0), problems)
    service = PolicyService.from_section(section)
    section.finish()
    assert problems == []
    assert service._door.idle > 300
