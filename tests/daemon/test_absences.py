"""What the config names and this host does not have: told by `check`, with what makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.cli.main import run
from poprelay.config.load import read_document
from poprelay.daemon import absences as module
from poprelay.daemon.absences import absences
from poprelay.daemon.configure import checked_config

LEAST = """[relay]
period = "30m"
[[sources]]
kind = "file"
path = "{place}/mail.log"
agents = ["dovecot"]
[[maps]]
kind = "text"
path = "{place}/maps/relay"
[[services]]
kind = "socketmap"
listen = "unix:{place}/sockets/s"
[[services]]
kind = "policy"
listen = "inet:127.0.0.1:10027"
"""


def told(place: Path, text: str = LEAST) -> list[str]:
    file = place / "poprelay.toml"
    file.write_text(text.format(place=place))
    document = read_document(file)
    return absences(document, checked_config(document, file))


def test_a_log_and_the_directories_of_a_map_and_a_socket_are_told_with_their_places(tmp_path: Path) -> None:
    log, text_map, socket = told(tmp_path)
    assert log.startswith(f"poprelay.toml:5:1: sources[0].path: there is no {tmp_path}/mail.log, so no login is seen; ")
    assert text_map.startswith("poprelay.toml:9:1: maps[0].path: ")
    assert text_map.endswith(f"install -d -o poprelay {tmp_path}/maps")
    assert socket.startswith("poprelay.toml:12:1: services[0].listen: ")
    assert socket.endswith(f"install -d -o poprelay {tmp_path}/sockets")


def test_what_is_there_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "mail.log").touch()
    (tmp_path / "maps").mkdir()
    (tmp_path / "sockets").mkdir()
    assert told(tmp_path) == []


def test_a_directory_that_systemd_makes_at_the_start_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mail.log").touch()
    monkeypatch.setattr(module, "_UNITS_OWN", (tmp_path / "maps", tmp_path / "sockets"))
    monkeypatch.setattr("poprelay.daemon.units.known", lambda unit: False)
    assert len(told(tmp_path)) == 2
    monkeypatch.setattr("poprelay.daemon.units.known", lambda unit: True)
    assert told(tmp_path) == []


def test_check_shows_them_and_is_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path)
    assert run(["check", "-c", str(tmp_path / "poprelay.toml")]) == 0
    assert capsys.readouterr().out.count("warning: poprelay.toml:") == 3
