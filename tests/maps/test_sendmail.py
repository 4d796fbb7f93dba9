"""Sendmail's access database, its relay-domains, and makemap."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry, made
from poprelay.maps.sendmail import SendmailMap
from poprelay.maps.text import MARKER

MARK = MARKER + "\n"
LONG = "IPv6:2001:db8:0:0:0:0:0:7"


@pytest.fixture
def makemap(tmp_path: Path) -> Path:
    """A makemap whose database is its input, and which fails where there is a file `fail`."""
    program = tmp_path / "makemap"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = hash ] || exit 64\n[ ! -e {tmp_path}/fail ] || {{ echo no room; exit 1; }}\ncat >"$2"\n'
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("access", f"Connect:192.0.2.7\tRELAY\nConnect:{LONG}\tRELAY\n"),
        ("popauth", f"192.0.2.7\tRELAY\n{LONG}\tRELAY\n"),
    ],
)
def test_the_database_is_made_of_the_text(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path, makemap: Path, form: str, lines: str
) -> None:
    text = tmp_path / "mail" / "access"
    text.parent.mkdir()
    text.write_text("From:spam@example.org\tREJECT\n")
    relay = SendmailMap.from_section(section(path=str(text), format=form, makemap=str(makemap)))
    relay.change([entry("192.0.2.7"), entry("2001:db8::7")], [])
    assert text.read_text() == f"From:spam@example.org\tREJECT\n{MARK}{lines}"
    assert text.with_name("access.db").read_bytes() == text.read_bytes()
    assert relay.keys() == {"192.0.2.7", "2001:db8::7"}
    assert sorted(file.name for file in text.parent.iterdir()) == ["access", "access.db"]


def test_a_new_database_has_the_mode_of_the_text_and_a_later_one_that_of_the_one_before(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path, makemap: Path
) -> None:
    text = tmp_path / "access"
    relay = SendmailMap.from_section(section(path=str(text), makemap=str(makemap)))
    relay.change([entry("192.0.2.7")], [])
    database = text.with_name("access.db")
    assert database.stat().st_mode & 0o777 == 0o644
    database.chmod(0o640)
    relay.change([entry("192.0.2.8")], [])
    assert database.stat().st_mode & 0o777 == 0o640
    assert b"192.0.2.8" in database.read_bytes()


def test_where_makemap_fails_the_database_stays_and_is_made_by_the_next_change(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path, makemap: Path
) -> None:
    text = tmp_path / "mail" / "access"
    text.parent.mkdir()
    relay = SendmailMap.from_section(section(path=str(text), makemap=str(makemap)))
    relay.change([entry("192.0.2.7")], [])
    before = text.with_name("access.db").read_bytes()
    (tmp_path / "fail").touch()
    with pytest.raises(MapError, match="no room"):
        relay.change([], ["192.0.2.7"])
    assert text.with_name("access.db").read_bytes() == before
    (text.parent / ".access.4711.new~.db").touch()
    (tmp_path / "fail").unlink()
    relay.change([], [])
    assert text.with_name("access.db").read_text() == MARK
    assert sorted(file.name for file in text.parent.iterdir()) == ["access", "access.db"]


@pytest.mark.parametrize("line", ["Connect:192.0.2.7\tREJECT", "192.0.2.7 REJECT", "connect:192.0.2.7  DISCARD"])
def test_an_address_of_which_a_person_says_something_is_left_to_that(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path, makemap: Path, line: str
) -> None:
    text = tmp_path / "access"
    text.write_text(f"# 192.0.2.8\n\n{line}\nConnect:{LONG.lower()} REJECT\n")
    relay = SendmailMap.from_section(section(path=str(text), makemap=str(makemap)))
    relay.change([entry("192.0.2.7"), entry("192.0.2.8"), entry("2001:db8::7")], [])
    assert relay.keys() == {"192.0.2.8"}


def test_relay_domains_has_bare_lines_and_the_command_that_sends_the_signal(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path
) -> None:
    path = tmp_path / "relay-domains"
    path.write_text("example.org\n")
    read = section(path=str(path), format="relay-domains", command=["touch", str(tmp_path / "signalled")])
    relay = SendmailMap.from_section(read)
    relay.change([entry("192.0.2.7"), entry("2001:db8::7")], [])
    assert path.read_text() == f"example.org\n{MARK}192.0.2.7\n{LONG}\n"
    assert (tmp_path / "signalled").exists()
    assert relay.interval >= 1.0


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ({"format": "relay-domains"}, ["maps"]),
        ({"format": "relay-domains", "command": "true", "interval": "0s"}, ["interval"]),
        ({"format": "relay-domains", "command": "true", "makemap": "makemap"}, ["makemap"]),
        ({"format": "hash"}, ["format"]),
    ],
)
def test_what_would_kill_sendmail_or_mean_nothing_is_refused(
    section: Callable[..., Section],
    refused: Callable[[Section], list[tuple[str, str, str]]],
    spec: dict[str, str],
    keys: list[str],
) -> None:
    read = section(path="/etc/mail/x", **spec)
    SendmailMap.from_section(read)
    assert [problem[0] if problem[0] != "0" else "maps" for problem in refused(read)] == keys


def test_a_later_database_is_written_within_the_file_of_the_one_before_and_its_time_is_another_second(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path, makemap: Path
) -> None:
    relay = SendmailMap.from_section(section(path=f"{tmp_path}/access", makemap=str(makemap)))
    database = tmp_path / "access.db"
    relay.change([entry("192.0.2.7"), entry("192.0.2.8")], [])
    seen = [database.stat()]
    for address in ("192.0.2.7", "192.0.2.8"):
        relay.change([], [address])
        seen.append(database.stat())
        assert database.read_bytes() == relay.path.read_bytes()
    assert len({status.st_ino for status in seen}) == 1
    assert len({int(status.st_mtime) for status in seen}) == 3


def test_a_database_that_sendmail_reads_is_waited_for_and_then_told(
    section: Callable[..., Section],
    entry: Callable[..., Entry],
    tmp_path: Path,
    makemap: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(made, "LOCK_WAIT", 0.05)
    relay = SendmailMap.from_section(section(path=f"{tmp_path}/access", makemap=str(makemap)))
    relay.change([entry("192.0.2.7")], [])
    database = tmp_path / "access.db"
    before = database.read_bytes()
    with database.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        with pytest.raises(MapError, match="has been locked by another program"):
            relay.change([], ["192.0.2.7"])
        assert database.read_bytes() == before
    relay.change([], [])
    assert database.read_bytes() == relay.path.read_bytes()


def test_a_database_that_was_torn_when_we_died_is_made_anew_by_the_next_change(
    section: Callable[..., Section],
    entry: Callable[..., Entry],
    tmp_path: Path,
    makemap: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay = SendmailMap.from_section(section(path=f"{tmp_path}/access", makemap=str(makemap)))
    relay.change([entry("192.0.2.7")], [])
    database = tmp_path / "access.db"

    def die(path: Path, content: bytes) -> None:
        path.write_bytes(content[:3])
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(made, "overwrite", die)
        with pytest.raises(KeyboardInterrupt):
            relay.change([], ["192.0.2.7"])
    again = SendmailMap.from_section(section(path=f"{tmp_path}/access", makemap=str(makemap)))
    again.keys()
    again.change([], [])
    assert database.read_text() == MARK
