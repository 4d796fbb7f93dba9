from __future__ import annotations

import tomllib
from pathlib import Path
from textwrap import indent

import pytest

from mta.sendmail.conftest import CF, MC, Made
from poprelay.errors import MtaError
from poprelay.mta import Plan
from poprelay.mta.sendmail import Sendmail
from poprelay.mta.sendmail.instance import Instance
from poprelay.mta.sendmail.rulesets import lines


@pytest.fixture(autouse=True)
def makemap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poprelay.mta.sendmail.makemap", lambda: "/usr/sbin/makemap")


def planned(monkeypatch: pytest.MonkeyPatch, instance: Instance, kind: str) -> Plan:
    monkeypatch.setattr(Instance, "read", classmethod(lambda _: instance))
    return Sendmail().plan(kind)


@pytest.mark.parametrize("kind", ["socketmap", "popauth", "relay-domains"])
def test_our_lines_come_last_and_the_config_is_made_of_them(
    made: Made, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source, config = planned(monkeypatch, made(), kind).edits
    assert (source.path.name, config.path.name) == ("sendmail.mc", "sendmail.cf")
    assert source.content.decode().startswith(f"{MC}\ndnl # poprelay")
    assert f"/var/lib/poprelay/{'sendmail/' if kind == 'socketmap' else ''}{kind}" in config.content.decode()


@pytest.mark.parametrize("kind", ["socketmap", "popauth", "relay-domains"])
def test_what_asks_already_is_left_alone(made: Made, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    source, _ = planned(monkeypatch, made(), kind).edits
    assert planned(monkeypatch, made(source.content.decode()), kind).edits == ()


def test_the_access_database_needs_no_edit_but_root(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = planned(monkeypatch, made(), "access")
    [command] = tomllib.loads(plan.root)["commands"]
    assert (plan.edits, plan.kept) == ((), (tmp_path / "access.db",))
    assert [step.get("stdin") for step in command["steps"][1:3]] == [
        "/run/poprelay-root/access",
        str(tmp_path / "access"),
    ]
    assert command["steps"][2]["run"][1:3] == ["-o", "-r"], "what a person wrote comes last, and wins"
    assert command["steps"][3]["run"][:2] == ["/usr/bin/flock", str(tmp_path / "access.db")]
    assert tomllib.loads(plan.section)["maps"][0]["root"] == command["name"]


def test_a_restart_is_asked_for_once_a_second_at_most(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    [command] = tomllib.loads(planned(monkeypatch, made(), "relay-domains").root)["commands"]
    assert (command["every"], "/run/sendmail.pid" in command["steps"][0]["run"][2]) == ("1s", True)


def test_a_config_that_is_too_old_to_ask_is_not_edited(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MtaError, match="has no ruleset Local_Relay_Auth"):
        planned(monkeypatch, made(cf=CF.replace("SLocal_Relay_Auth\n", "")), "popauth")


@pytest.mark.parametrize("own", ["SLocal_Relay_Auth\n", "SLocal_check_rcpt\n"])
def test_rulesets_of_a_persons_own_are_not_written_over(made: Made, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    with pytest.raises(MtaError, match="of its own"):
        planned(monkeypatch, made(f"{MC}LOCAL_RULESETS\n{own}"), "socketmap")


def test_what_was_written_into_the_config_by_hand_is_not_lost(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MtaError, match=r"'Cwmine.test' is only in the first"):
        planned(monkeypatch, made(cf=f"{CF}Cwmine.test\n"), "popauth")
    with pytest.raises(MtaError, match=r"'Cwlocalhost' is only in the second"):
        planned(monkeypatch, made(cf=CF.replace("Cwlocalhost\n", "")), "popauth")


def test_who_runs_as_another_user_gets_at_the_socket_by_its_group(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    [folder] = planned(monkeypatch, made(), "socketmap").folders
    assert (folder.group, folder.mode) == ("root", 0o2750)
    with pytest.raises(MtaError, match="no user 'nobody-at-all'"):
        planned(monkeypatch, made(cf=f"{CF}O RunAsUser=nobody-at-all:x\n"), "socketmap")


def test_the_page_shows_what_is_written() -> None:
    page = (Path(__file__).parents[3] / "docs/mta/sendmail.md").read_text()
    for kind, place in (
        ("socketmap", "local:/var/lib/poprelay/sendmail/socketmap"),
        ("popauth", "/var/lib/poprelay/popauth"),
        ("relay-domains", "/var/lib/poprelay/relay-domains"),
    ):
        assert indent(lines(kind, place).partition("\n")[2], "    ") in page
