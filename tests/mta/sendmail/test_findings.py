from __future__ import annotations

import os
from pathlib import Path

import pytest

from mta.sendmail.conftest import CF, MC, Made
from poprelay.mta import Finding, Part
from poprelay.mta.sendmail.findings import examine
from poprelay.mta.sendmail.instance import Instance
from poprelay.mta.sendmail.rulesets import lines

SOCKET = Part("service", "socketmap", "inet:127.0.0.1:10027", {"for": "sendmail"})
ASKING = MC + lines("socketmap", "inet:10027@127.0.0.1")


def found(instance: Instance, *parts: Part) -> list[Finding]:
    # what lies above the test's own directory is the system's
    return [one for one in examine(instance, parts) if "may not be passed" not in one.what]


def one(findings: list[Finding], level: str, *words: str) -> None:
    assert [finding.level for finding in findings] == [level], findings
    assert all(word in findings[0].what for word in words), findings


@pytest.fixture
def popauth(tmp_path: Path) -> Part:
    (tmp_path / "popauth").touch(0o644)
    (tmp_path / "popauth.db").touch(0o644)
    return Part("map", "sendmail", str(tmp_path / "popauth"), {"format": "popauth"})


def test_nothing_is_found_in_what_we_recommend(made: Made, popauth: Part) -> None:
    assert found(made(ASKING), SOCKET) == []
    assert found(made(MC + lines("popauth", popauth.place)), popauth) == []
    relay = Part("map", "sendmail", popauth.place, {"format": "relay-domains"})
    assert found(made(MC + lines("relay-domains", popauth.place)), relay) == []


def test_sendmail_does_not_ask_us(made: Made) -> None:
    one(found(made(), SOCKET), "fault", "Sendmail does not ask us")


def test_a_part_of_another_mta_is_none_of_sendmails_business(made: Made) -> None:
    assert found(made(), Part("map", "spool", "/x"), Part("service", "socketmap", "unix:/x")) == []


def test_a_stranger_may_relay(made: Made) -> None:
    one(found(made(decides="$@ RELAY"), *()), "danger", "a stranger may relay", "$@ RELAY")


@pytest.mark.parametrize(
    ("feature", "level"),
    [
        ("promiscuous_relay", "danger"),
        ("relay_local_from", "danger"),
        ("relay_mail_from", "danger"),
        ("loose_relay_check", "danger"),
        ("relay_entire_domain", "note"),
        ("relay_based_on_MX", "note"),
        ("accept_unqualified_senders", "note"),
    ],
)
def test_what_lets_others_relay_too(made: Made, feature: str, level: str) -> None:
    one(found(made(f"{MC}FEATURE(`{feature}')dnl\n")), level, feature)
    one(found(made(f"{MC}FEATURE({feature})dnl\n")), level, feature)
    assert found(made(f"{MC}dnl FEATURE(`{feature}')\n")) == []


def test_a_map_that_no_ruleset_asks(made: Made) -> None:
    text = ASKING.replace("SLocal_Relay_Auth", "SNobody")
    one(found(made(text), SOCKET), "fault", "Local_Relay_Auth does not ask it")


def test_a_ruleset_that_asks_for_what_the_client_chooses(made: Made) -> None:
    text = ASKING.replace("$&{client_addr}", "$&{client_name}", 1)
    one(found(made(text), SOCKET), "danger", "something else than the client's address")


def test_a_value_that_permits_nothing(made: Made) -> None:
    one(found(made(ASKING.replace("$# RELAY", "RELAY")), SOCKET), "fault", "does not end with $# RELAY")


def test_who_may_relay_is_refused_for_good_while_we_are_down(made: Made) -> None:
    text = ASKING[: ASKING.index("SLocal_check_rcpt")]
    one(found(made(text), SOCKET), "note", "in Local_Relay_Auth only")


def test_there_is_no_access_database(made: Made, tmp_path: Path) -> None:
    part = Part("map", "sendmail", str(tmp_path / "access"), {})
    one(found(made(cf=CF.replace("Kaccess", "Kother")), part), "fault", "has no access database")


def test_the_access_database_was_made_without_ours(made: Made, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.write_text("# theirs\nConnect:8.8.8.8\tRELAY\nConnect:IPv6:2001:db8:0:0:0:0:0:7\tRELAY\n")
    part = Part("map", "sendmail", str(ours), {"format": "access"})
    keys = ("connect:8.8.8.8", "connect:ipv6:2001:db8:0:0:0:0:0:7")
    assert found(made(holds=keys), part) == []
    one(found(made(holds=keys[:1]), part), "fault", "does not have ipv6:2001:db8:0:0:0:0:0:7")


def test_there_is_no_makemap(made: Made, popauth: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = made(MC + lines("popauth", popauth.place))
    monkeypatch.setattr("poprelay.mta.sendmail.findings.makemap", lambda: "")
    one(found(instance, popauth), "fault", "no makemap")


def test_our_map_is_missing_or_open_to_all(made: Made, popauth: Part) -> None:
    instance, database = made(MC + lines("popauth", popauth.place)), Path(f"{popauth.place}.db")
    database.chmod(0o666)
    one(found(instance, popauth), "danger", "may write")
    database.unlink()
    one(found(instance, popauth), "fault", "is missing")


@pytest.mark.parametrize("name", ["sendmail.cf", "sendmail.mc", "access", "access.db", "relay-domains"])
def test_every_user_may_write_what_sendmail_reads(made: Made, tmp_path: Path, name: str) -> None:
    instance = made()
    (tmp_path / name).chmod(0o666)
    one(found(instance), "danger", f"may write {tmp_path / name}")


def test_what_was_changed_is_not_in_force(made: Made, tmp_path: Path) -> None:
    instance = made()
    for name, words in (("access", "access.db is older"), ("sendmail.mc", "sendmail.cf is older")):
        now = (tmp_path / name).stat().st_mtime
        os.utime(tmp_path / name, (now + 60, now + 60))
        one(found(instance), "note", words)
        os.utime(tmp_path / name, (now, now))
    (tmp_path / "access.db").unlink()
    one(found(instance), "fault", "access.db is missing")


def test_sendmail_listens_only_to_this_host(made: Made) -> None:
    here = CF.replace("Family=inet", "Family=inet, Addr=127.0.0.1\nO DaemonPortOptions=Family=inet6, Addr=::1")
    one(found(made(cf=here)), "note", "listens only")
    assert found(made(cf=here.replace("Addr=::1", "Port=smtp"))) == []
