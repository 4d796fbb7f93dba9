from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwuid

import pytest

from poprelay.mta import Finding, Part
from poprelay.mta.files import faults_of_socket
from poprelay.mta.postfix.findings import examine
from poprelay.mta.postfix.instance import Instance, Smtpd
from poprelay.mta.postfix.restrictions import LISTS, RECIPIENT, RELAY

ASK = "check_client_access socketmap:unix:poprelay/socketmap:relay"
GOOD = f"permit_mynetworks, permit_auth_destination, {ASK}, reject_unauth_destination"
PART = Part("service", "socketmap", "unix:/var/spool/postfix/poprelay/socketmap")


@pytest.fixture(autouse=True)
def socketmap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket, in the place of the one below /var/spool/postfix."""
    with tempfile.TemporaryDirectory(prefix="queue-") as folder, socket.socket(socket.AF_UNIX) as listening:
        path = Path(folder) / "socketmap"
        listening.bind(str(path))

        def there(part: Part, about: str, user: str) -> Iterator[Finding]:
            return faults_of_socket(Part(part.role, part.kind, f"unix:{path}"), about, user)

        monkeypatch.setattr("poprelay.mta.postfix.findings.faults_of_socket", there)
        yield path


def found(
    values: dict[str, str] | None = None,
    parts: tuple[Part, ...] = (PART,),
    *,
    chrooted: bool = True,
    more: tuple[Smtpd, ...] = (),
) -> list[Finding]:
    instance = Instance(
        postconf="postconf",
        where=(),
        values={
            **dict.fromkeys(LISTS, ""),
            "queue_directory": "/var/spool/postfix",
            "config_directory": "/etc/postfix",
            "mynetworks": "127.0.0.0/8",
            "mail_owner": getpwuid(os.geteuid()).pw_name,
            RELAY: GOOD,
            **(values or {}),
        },
        types=frozenset({"socketmap", "lmdb"}),
        smtpds=(Smtpd("smtp/inet", chrooted, {}), *more),
    )
    return list(examine(instance, parts))


def one(level: str, words: tuple[str, ...], values: dict[str, str]) -> None:
    findings = found(values)
    assert [finding.level for finding in findings] == [level], findings
    assert all(word in findings[0].what for word in words), findings


def test_nothing_is_found_in_what_we_recommend() -> None:
    assert found() == []


def test_nothing_is_found_where_only_the_recipient_list_is_used() -> None:
    assert found({RELAY: "", RECIPIENT: GOOD}) == []


def test_postfix_does_not_ask_us() -> None:
    one("fault", ("does not ask us",), {RELAY: "permit_mynetworks, reject_unauth_destination"})


def test_we_are_asked_in_the_wrong_list() -> None:
    one("fault", ("smtpd_client_restrictions",), {"smtpd_client_restrictions": ASK})


def test_we_are_asked_when_strangers_have_been_stopped() -> None:
    one("fault", ("behind reject_unauth",), {RELAY: f"permit_auth_destination, reject_unauth_destination, {ASK}"})


def test_we_are_asked_for_local_mail_too() -> None:
    one("fault", ("no permit_auth_destination",), {RELAY: f"{ASK}, reject_unauth_destination"})
    one("fault", ("before permit_auth",), {RELAY: f"{ASK}, permit_auth_destination, reject_unauth_destination"})


def test_the_other_list_stops_whom_we_allow() -> None:
    one("fault", (f"{RECIPIENT} rejects",), {RECIPIENT: "permit_mynetworks, reject_unauth_destination"})


def test_nothing_stops_strangers() -> None:
    findings = found({RELAY: f"permit_auth_destination, {ASK}"})
    assert [finding.level for finding in findings] == ["danger"]
    assert "reject_unauth_destination" in findings[0].mend


@pytest.mark.parametrize("table", ["static:OK", "static:{permit}", "static:1"])
def test_everybody_is_permitted_before_strangers_are_stopped(table: str) -> None:
    one("danger", (table,), {RELAY: f"check_client_access {table}, {GOOD}"})


def test_everybody_is_in_a_table_of_networks(tmp_path: Path) -> None:
    table = tmp_path / "nets"
    table.write_text("192.0.2.0/24 OK\n0.0.0.0/0 REJECT no\n")
    assert found({RELAY: f"check_client_access cidr:{table}, {GOOD}"}) == []
    table.write_text("192.0.2.0/24 OK\n0.0.0.0/0 OK\n")
    one("danger", ("permits everybody",), {RELAY: f"check_client_access cidr:{table}, {GOOD}"})


@pytest.mark.parametrize(("value", "many"), [("OK", 0), ("20260101", 1)])
def test_a_table_within_the_line_permits_whom_it_names(value: str, many: int) -> None:
    seen = found({RELAY: f"check_client_access inline:{{10.1.2.3={value}, {{10.1.2.4 = REJECT no}}}}, {GOOD}"})
    assert [(finding.level, "10.1.2.3 '20260101'" in finding.what) for finding in seen] == [("danger", True)] * many


def test_mynetworks_names_our_table() -> None:
    one("danger", ("mynetworks",), {"mynetworks": "127.0.0.0/8 socketmap:unix:poprelay/socketmap:relay"})


def test_we_are_asked_by_what_the_client_chooses() -> None:
    text = GOOD.replace("check_client_access", "check_helo_access")
    assert "danger" in {finding.level for finding in found({RELAY: text})}


def test_the_socket_is_out_of_the_jails_sight() -> None:
    text = GOOD.replace("unix:poprelay", "unix:/var/spool/postfix/poprelay")
    one("fault", ("in a jail",), {RELAY: text})
    assert found({RELAY: text}, chrooted=False) == []


def test_greetings_that_printers_send_are_rejected() -> None:
    one("note", ("reject_invalid_helo_hostname",), {"smtpd_helo_restrictions": "reject_invalid_helo_hostname"})


def test_each_smtpd_is_judged_by_its_own_settings() -> None:
    own = Smtpd("2525/inet", False, {RELAY: "permit"})
    assert [finding.level for finding in found(more=(own,))] == ["danger"]


def test_the_submission_port_need_not_ask_us() -> None:
    own = Smtpd("submission/inet", False, {RELAY: "permit_sasl_authenticated, reject"})
    assert found(more=(own,)) == []


def test_a_map_is_missing_or_closed_or_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "relay.lmdb"
    part = Part("map", "lmdb", str(path))
    text = GOOD.replace("socketmap:unix:poprelay/socketmap:relay", f"lmdb:{tmp_path}/relay")

    def about(word: str) -> list[Finding]:
        return [finding for finding in found({RELAY: text}, (part,)) if word in finding.what]

    assert about("is missing")
    path.touch(0o600)
    assert about("not readable")
    path.chmod(0o666)
    assert [finding.level for finding in about("may write")] == ["danger"]
    path.chmod(0o644)
    assert not about(str(path))


def test_the_socket_is_missing_or_closed_to_postfix(socketmap: Path) -> None:
    assert found({"mail_owner": "nobody"})[-1].level == "fault"  # the folder is its owner's alone
    socketmap.unlink()
    assert "is missing" in found()[0].what


def test_mynetworks_trusts_everybody() -> None:
    one("danger", ("0.0.0.0/0", "trusts the whole internet"), {"mynetworks": "127.0.0.0/8, 0.0.0.0/0"})


@pytest.mark.parametrize(("value", "accident"), [("20260101", True), ("RELAY", True), ("OK", False), ("REJECT", False)])
def test_anothers_table_permits_by_accident(tmp_path: Path, value: str, accident: bool) -> None:
    table = tmp_path / "access"
    table.write_text(f"# ours\n10.1.2.3 {value}\n  continued\n")
    seen = found({RELAY: f"check_client_access texthash:{table}, {GOOD}"})
    assert [finding.level for finding in seen] == ["danger"] * accident
    assert not accident or "10.1.2.3" in seen[0].what


def test_proxymap_keeps_a_hash_that_it_has_opened(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    path.touch()
    text = GOOD.replace("socketmap:unix:poprelay/socketmap:relay", f"proxy:hash:{tmp_path}/relay")
    seen = [finding for finding in found({RELAY: text}, (Part("map", "hash", str(path)),)) if "proxy:" in finding.what]
    assert [(finding.level, f"write hash:{tmp_path}/relay" in finding.mend) for finding in seen] == [("danger", True)]


def test_a_jailed_smtpd_asks_a_database_by_proxymap_only(tmp_path: Path) -> None:
    path, asked = tmp_path / "relay.sqlite", tmp_path / "relay.cf"
    path.touch()
    asked.write_text(f"dbpath = {path}\nquery = SELECT value FROM relay WHERE address = '%s'\n")
    part = Part("map", "sqlite", str(path))
    for prefix, many in (("", 1), ("proxy:", 0)):
        text = GOOD.replace("socketmap:unix:poprelay/socketmap:relay", f"{prefix}sqlite:{asked}")
        seen = found({RELAY: text}, (part,))
        assert len([finding for finding in seen if "asks sqlite" in finding.what]) == many
        assert not [finding for finding in seen if "does not ask us" in finding.what]
