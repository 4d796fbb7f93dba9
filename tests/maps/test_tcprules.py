"""tcpserver's rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maps.programs import tcprules
from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry, constantdb
from poprelay.maps.tcprules import TcprulesMap
from poprelay.maps.text import MARKER, TextMap

Make = Callable[..., Entry]
RELAY = ':allow,RELAYCLIENT=""\n'


@pytest.fixture
def relay(tmp_path: Path, section: Callable[..., Section]) -> TextMap:
    (tmp_path / "etc").mkdir()
    return TcprulesMap.from_section(section(path=f"{tmp_path}/etc/tcp.smtp", tcprules=tcprules(tmp_path)))


def database(relay: TextMap) -> Path:
    return relay.path.with_name("tcp.smtp.cdb")


def rules(relay: TextMap) -> list[bytes]:
    return [key for key, _ in constantdb.records(database(relay))]


def test_a_persons_rules_are_kept_and_ours_follow_in_every_spelling(relay: TextMap, entry: Make) -> None:
    relay.path.write_text("127.:allow,RELAYCLIENT=\"\"\n:allow,QMAILQUEUE='/bin/q'\n")
    relay.change([entry("192.0.2.7"), entry("2001:db8::7")], [])
    theirs, _, ours = relay.path.read_text().partition(f"{MARKER}\n")
    assert theirs == "127.:allow,RELAYCLIENT=\"\"\n:allow,QMAILQUEUE='/bin/q'\n"
    assert ours == f"192.0.2.7{RELAY}::ffff:192.0.2.7{RELAY}2001:db8::7{RELAY}"
    assert rules(relay) == [b"127.", b"", b"192.0.2.7", b"::ffff:192.0.2.7", b"2001:db8::7"]
    assert relay.keys() == {"192.0.2.7", "2001:db8::7"}
    assert sorted(file.name for file in relay.path.parent.iterdir()) == ["tcp.smtp", "tcp.smtp.cdb"]


@pytest.mark.parametrize("line", ["192.0.2.7:deny", "::ffff:192.0.2.7:allow"])
def test_an_address_of_which_a_person_says_something_is_left_to_that(relay: TextMap, entry: Make, line: str) -> None:
    relay.path.write_text(f"#192.0.2.8:deny\n{line}\n2001:DB8::7:deny\n")
    relay.change([entry("192.0.2.7"), entry("192.0.2.8"), entry("2001:db8::7")], [])
    assert relay.keys() == {"192.0.2.8"}


def test_nobody_gets_a_rule_that_would_be_a_whole_networks(relay: TextMap, entry: Make) -> None:
    relay.change([entry("2001:db8:5:1::")], [])
    assert rules(relay) == []


def test_a_database_that_is_not_whole_is_never_published(relay: TextMap, entry: Make, tmp_path: Path) -> None:
    relay.change([entry("192.0.2.7")], [])
    before = database(relay).read_bytes()
    (tmp_path / "tcprules").write_text('#!/bin/sh\n: >"$1"\n')
    with pytest.raises(MapError, match="is no whole cdb file"):
        relay.change([], ["192.0.2.7"])
    assert database(relay).read_bytes() == before
    tcprules(tmp_path)
    relay.change([], [])
    assert rules(relay) == []


def test_a_database_that_was_removed_is_missed_and_made_again(relay: TextMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    assert not relay.disturbed()
    database(relay).unlink()
    assert relay.disturbed()
    assert relay.keys() == {"192.0.2.7"}
    relay.change([], [])
    assert rules(relay) == [b"192.0.2.7", b"::ffff:192.0.2.7"]
    assert not relay.disturbed()


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ('allow,RELAYCLIENT="",RBLSMTPD=""', False),
        ("allow,RELAYCLIENT=/@fix.me/", False),
        ('deny,RELAYCLIENT=""', True),
        ('allow,RELAYCLIENT="', True),
        ('allow,XRELAYCLIENT=""', True),
        ('allow,RELAYCLIENT=""\n:allow', True),
        ("allow", True),
    ],
)
def test_a_rule_must_allow_and_set_relayclient(
    section: Callable[..., Section],
    refused: Callable[[Section], list[tuple[str, str, str]]],
    rule: str,
    wrong: bool,
) -> None:
    read = section(path="/etc/tcp.smtp", rule=rule)
    TcprulesMap.from_section(read)
    assert [key for key, _, _ in refused(read)] == ["rule"] * wrong
