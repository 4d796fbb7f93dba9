from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.mta import Finding, Part
from poprelay.mta.postfix.findings import examine
from poprelay.mta.postfix.instance import Instance, Smtpd
from poprelay.mta.postfix.restrictions import LISTS, RECIPIENT, RELAY

ASK = "check_client_access socketmap:unix:poprelay/socketmap:relay"
GOOD = f"permit_mynetworks, permit_auth_destination, {ASK}, reject_unauth_destination"
PART = Part("service", "socketmap", "unix:/var/spool/postfix/poprelay/socketmap")


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


@pytest.mark.parametrize("table", ["static:OK", "check_client_access inline:{1=permit}"])
def test_everybody_is_permitted_before_strangers_are_stopped(table: str) -> None:
    word = table if table.startswith("check") else f"check_client_access {table}"
    one("danger", ("static:OK" if "static" in table else "inline",), {RELAY: f"{word}, {GOOD}"})


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
