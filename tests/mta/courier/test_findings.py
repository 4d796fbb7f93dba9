from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from poprelay.mta import Finding, Part
from poprelay.mta.courier import findings
from poprelay.mta.courier.findings import examine
from poprelay.mta.courier.instance import Instance

LINE = "192.0.2.7\tallow,RELAYCLIENT\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Courier in order: its settings, a person's rules, ours, and the database, newer than all."""
    monkeypatch.setattr(findings, "_has_cidr", lambda: False)
    (tmp_path / "esmtpd").write_text("ACCESSFILE=${sysconfdir}/smtpaccess\n")
    (tmp_path / "smtpaccess").mkdir()
    (tmp_path / "smtpaccess/default").write_text("10\tallow,RELAYCLIENT\n:2001:0db8\tallow,RELAYCLIENT\n")
    for path in (tmp_path / "poprelay", tmp_path / "smtpaccess/poprelay"):
        path.write_text(LINE)
    (tmp_path / "poprelay").chmod(0o644)
    (tmp_path / "smtpaccess.dat").touch()
    os.utime(tmp_path / "poprelay", (1, 1))
    return tmp_path


def found(place: Path) -> list[Finding]:
    said = examine(Instance.read(place / "esmtpd"), [Part("map", "courier", str(place / "poprelay"))])
    return [one for one in said if "may not be passed" not in one.what]  # where tests lie


def test_nothing_is_found_where_all_is_in_order(place: Path) -> None:
    assert found(place) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("172.16.0.0/12\tallow", "172.16.0.0/12 is ignored"),
        ("192.0.2.1-192.0.2.9\tallow", "192.0.2.1-192.0.2.9 is ignored"),
        ("2001:db8::7\tallow", "2001:db8::7 never matches"),
        (":2001:0DB8\tallow", ":2001:0DB8 is there 2 times"),
        ("[192.0.2.7]\tallow", "[192.0.2.7] never matches"),
        ("10\tdeny", "10 is there 2 times"),
    ],
)
def test_each_line_that_does_not_do_what_it_seems_to_is_found(place: Path, line: str, words: str) -> None:
    with (place / "smtpaccess/default").open("a") as file:
        file.write(f"{line}\n")
    assert next((one.level, words in one.what) for one in found(place)) == ("fault", True)


def test_networks_are_read_where_perl_can(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "_has_cidr", lambda: True)
    (place / "smtpaccess/default").write_text("172.16.0.0/12\tallow,RELAYCLIENT\n")
    assert found(place) == []


def test_a_server_that_lets_everybody_relay_is_a_danger(place: Path) -> None:
    with (place / "esmtpd").open("a") as file:
        file.write("RELAYCLIENT=\n")
    assert [(one.level, "sets RELAYCLIENT" in one.what) for one in found(place)] == [("danger", True)]


def test_a_database_that_is_missing_or_older_than_its_sources_is_found(place: Path) -> None:
    os.utime(place / "smtpaccess.dat", (1, 1))
    assert ["is older than" in one.what for one in found(place)] == [True]
    (place / "smtpaccess.dat").unlink()
    assert ["No such file" in one.what for one in found(place)] == [True]


def test_a_copy_that_is_not_as_the_map_is_is_found_once_roots_part_had_its_time(place: Path) -> None:
    (place / "poprelay").write_text("")
    assert found(place) == []
    os.utime(place / "poprelay", (time.time() - 60,) * 2)
    assert ["does not say what" in one.what for one in found(place)] == [True]


def test_without_a_copy_courier_does_not_ask_us(place: Path) -> None:
    (place / "smtpaccess/poprelay").unlink()
    assert [one.what.endswith("does not ask us") for one in found(place)] == [True]
