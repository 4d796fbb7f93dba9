from __future__ import annotations

import os
from pathlib import Path

import pytest

from poprelay.mta import Finding, Part
from poprelay.mta.qmail.findings import examine, never
from poprelay.mta.qmail.instance import Instance

OURS = '192.0.2.7:allow,RELAYCLIENT=""\n'
THEIRS = '127.:allow,RELAYCLIENT=""\n:allow\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Rules in order: a person's text, our map, and a database that has both."""
    (tmp_path / "tcp.smtp").write_text(THEIRS)
    (tmp_path / "ours").write_text(OURS)
    (tmp_path / "ours").chmod(0o644)
    (tmp_path / "tcp.smtp.cdb").write_bytes(bytes(2048) + (THEIRS + OURS).encode())
    (tmp_path / "tcp.smtp.poprelay").touch()
    return tmp_path


def found(place: Path, *, rules: str = "tcp.smtp.cdb", environment: tuple[str, ...] = ()) -> list[Finding]:
    where = Instance(Path("/service/qmail-smtpd/run"), place / rules if rules else Path(), "25", False)
    instance = where._replace(environment=frozenset(environment))
    said = examine(instance, [Part("map", "tcprules", str(place / "ours"))])
    return [one for one in said if "may not be passed" not in one.what]  # where tests lie


def test_nothing_is_found_where_all_is_in_order(place: Path) -> None:
    assert found(place) == []


@pytest.mark.parametrize(
    ("line", "level", "words"),
    [
        (':allow,RELAYCLIENT=""', "danger", "everybody may relay"),
        (':allow,X="1",RELAYCLIENT=""', "danger", "everybody may relay"),
        ('10.1:allow,RELAYCLIENT=""', "fault", "never matches"),
        ("10.0.0.0/8:allow", "fault", "never matches"),
        ("[2001:db8::7]:allow", "fault", "never matches"),
        ("2001:0db8:0:0:0:0:0:7:allow", "fault", "never matches"),
        ("192.0.2.7:alow", "fault", "is no rule"),
    ],
)
def test_each_rule_that_does_not_do_what_it_seems_to_is_found(place: Path, line: str, level: str, words: str) -> None:
    (place / "tcp.smtp").write_text(f"{line}\n{THEIRS}")
    assert [(one.level, words in one.what) for one in found(place)] == [(level, True)]


@pytest.mark.parametrize(
    "key", ["192.0.2.7", "192.0.2.", "10.1-5.", "2001:db8::7", "2001:db8::", "::ffff:192.0.2.7", ""]
)
def test_what_tcpserver_may_find_is_not_blamed(key: str) -> None:
    assert never(key) is None


def test_a_database_that_is_missing_or_empty_or_old_is_found(place: Path) -> None:
    database = place / "tcp.smtp.cdb"
    os.utime(database, (1, 1))
    assert "is older than" in found(place)[0].what
    database.write_bytes(b"")
    assert [(one.level, one.why) for one in found(place)] == [("fault", "tcpserver drops every connection")]
    database.unlink()
    assert [(one.level, one.why) for one in found(place)] == [("fault", "tcpserver drops every connection")]


def test_a_database_without_our_rules_is_found(place: Path) -> None:
    (place / "tcp.smtp.cdb").write_bytes(bytes(2048) + THEIRS.encode())
    assert [one.what.endswith("does not ask us") for one in found(place)] == [True]


def test_tcpserver_without_rules_does_not_ask_us(place: Path) -> None:
    assert "tcpserver has no -x" in found(place, rules="")[0].what


def test_a_run_script_that_lets_everybody_relay_is_a_danger(place: Path) -> None:
    assert [(one.level, "sets RELAYCLIENT" in one.what) for one in found(place, environment=("RELAYCLIENT",))] == [
        ("danger", True)
    ]
