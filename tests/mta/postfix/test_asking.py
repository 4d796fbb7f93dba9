from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.mta import Part
from poprelay.mta.postfix.asking import asks, question, visible_in_jail

QUEUE = Path("/var/spool/postfix")
SOCKET = Part("service", "socketmap", "unix:/var/spool/postfix/poprelay/socketmap")
POLICY = Part("service", "policy", "unix:/var/spool/postfix/poprelay/policy")
LOOPBACK = Part("service", "socketmap", "inet:127.0.0.1:10027")
LMDB = Part("map", "lmdb", "/var/lib/poprelay/relay.lmdb")


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (SOCKET, "check_client_access socketmap:unix:poprelay/socketmap:relay"),
        (POLICY, "check_policy_service unix:poprelay/policy"),
        (LOOPBACK, "check_client_access socketmap:inet:127.0.0.1:10027:relay"),
        (LMDB, "check_client_access lmdb:/var/lib/poprelay/relay"),
        (Part("map", "hash", "/x/relay.db"), "check_client_access hash:/x/relay"),
        (Part("map", "cdb", "/x/relay.cdb"), "check_client_access cdb:/x/relay"),
        (Part("map", "cidr", "/x/relay"), "check_client_access cidr:/x/relay"),
        (Part("service", "tcp_table", "inet:127.0.0.1:10028"), "check_client_access tcp:127.0.0.1:10028"),
    ],
)
def test_each_kind_is_asked_in_postfix_own_spelling(part: Part, text: str) -> None:
    assert str(question(part, QUEUE)) == text


@pytest.mark.parametrize(
    "text",
    [
        "socketmap:unix:poprelay/socketmap:relay",
        "socketmap:unix:/poprelay/socketmap:any",
        "socketmap:unix:/var/spool/postfix/poprelay/socketmap:relay",
        "proxy:socketmap:unix:poprelay/socketmap:relay",
    ],
)
def test_a_socket_is_known_in_every_spelling(text: str) -> None:
    assert asks(text, SOCKET, QUEUE)


@pytest.mark.parametrize(
    "text", ["socketmap:unix:other/socketmap:relay", "unix:poprelay/socketmap", "lmdb:/var/lib/poprelay/relay", ""]
)
def test_another_table_is_not_taken_for_it(text: str) -> None:
    assert not asks(text, SOCKET, QUEUE)


def test_a_policy_service_is_known_with_its_own_settings() -> None:
    assert asks("{ unix:poprelay/policy, timeout=10s }", POLICY, QUEUE)
    assert not asks("{ unix:poprelay/other, timeout=10s }", POLICY, QUEUE)


def test_a_jailed_smtpd_sees_a_socket_only_below_its_queue_directory_and_by_the_way_from_there() -> None:
    inside = SOCKET.place
    assert visible_in_jail("socketmap:unix:poprelay/socketmap:relay", inside, QUEUE)
    assert visible_in_jail("socketmap:unix:/poprelay/socketmap:relay", inside, QUEUE)
    assert not visible_in_jail(f"socketmap:{inside}:relay", inside, QUEUE)
    assert not visible_in_jail("socketmap:unix:/run/p:relay", "unix:/run/p", QUEUE)
    assert visible_in_jail("socketmap:inet:127.0.0.1:10027:relay", "inet:127.0.0.1:10027", QUEUE)
