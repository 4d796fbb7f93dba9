"""Mail::POPRelay's classes: options, methods, and the original's spelling."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

import poprelay
from poprelay.daemon.daemon import Daemon as Ours
from poprelay.daemon.heritage.legacy import old_config, read_old
from poprelay.errors import ConfigError, MapError, Refused

MARK = "# Above configuration will be preserved by POPRelay.\n"


@pytest.fixture
def options(tmp_path: Path) -> dict[str, object]:
    return {
        "mailLogFile": tmp_path / "maillog",
        "mailRelayDirectory": tmp_path / "spool",
        "mailRelayFile": tmp_path / "access",
        "mailRelayPeriod": 3600,
    }


def in_spool(place: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (place / "spool").iterdir() if not file.name.startswith(".")}


def test_it_is_made_from_a_config_file_and_options_that_override_it(tmp_path: Path) -> None:
    (tmp_path / "old.conf").write_text("mailRelayFile = /x\nmailRelayPeriod = 60\n")
    assert 'period = "60s"' in poprelay.POPRelay(tmp_path / "old.conf").toml
    assert 'period = "7s"' in poprelay.POPRelay(tmp_path / "old.conf", {"mailRelayPeriod": 7}).toml
    assert 'period = "8s"' in poprelay.POPRelay(str(tmp_path / "old.conf"), mailRelayPeriod=8).toml


def test_it_is_made_from_options_alone(options: dict[str, object]) -> None:
    assert 'period = "3600s"' in poprelay.POPRelay(options).toml
    assert 'period = "9s"' in poprelay.POPRelay(options, mailRelayPeriod=9).toml


def test_an_option_that_is_not_known_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="options: mailRelayFil: is not an option; did you mean 'mailRelayFile'"):
        poprelay.POPRelay(options, mailRelayFil="/x")


def test_what_the_engine_refuses_is_said_of_the_option(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="options: mailRelayFileFormat: it has no %i, which stands for the address"):
        poprelay.POPRelay(options, mailRelayFileFormat="RELAY")
    with pytest.raises(ConfigError, match="options: mailRelayFile: mailLogFile is the same file"):
        poprelay.POPRelay(options, mailLogFile=options["mailRelayFile"])


def test_add_relay_address_makes_a_file_that_holds_the_user(options: dict[str, object], tmp_path: Path) -> None:
    relay = poprelay.POPRelay(options)
    assert relay.add_relay_address("ann@example.net", "9.9.9.9")
    assert not relay.add_relay_address("ann@example.net", "9.9.9.9")
    assert in_spool(tmp_path) == {"9.9.9.9": "ann@example.net"}
    assert not (tmp_path / "access").exists(), "the relay file is written by generate_relay_file"


@pytest.mark.parametrize("address", ["127.0.0.1", "mx.example.net", "9.9.9", "../x"])
def test_add_relay_address_refuses_what_is_no_clients_address(options: dict[str, object], address: str) -> None:
    with pytest.raises(Refused):
        poprelay.POPRelay(options).add_relay_address("ann", address)


def test_generate_relay_file_writes_file_database_and_restart(options: dict[str, object], tmp_path: Path) -> None:
    relay = poprelay.POPRelay(
        options,
        mailRelayIsDatabase=1,
        mailRelayDatabaseCommand="/usr/bin/tee %r.db < %r",
        mailProgramRestart=1,
        mailProgramRestartCommand=f"/usr/bin/touch {tmp_path}/%m.restarted",
    )
    (tmp_path / "access").write_text("mine\n")
    relay.add_relay_address("ann", "9.9.9.9")
    relay.add_relay_address("bob", "10.0.0.7")
    relay.generate_relay_file()
    expected = "mine\n" + MARK + "9.9.9.9 RELAY\n10.0.0.7 RELAY\n"
    assert (tmp_path / "access").read_text() == (tmp_path / "access.db").read_text() == expected
    assert (tmp_path / "sendmail.restarted").exists()


def test_generate_relay_file_creates_the_spool(options: dict[str, object], tmp_path: Path) -> None:
    poprelay.POPRelay(options).generate_relay_file()
    assert in_spool(tmp_path) == {}
    assert (tmp_path / "access").read_text() == MARK


def test_a_database_command_that_fails_is_told_and_owed_and_no_restart_follows(
    options: dict[str, object], tmp_path: Path
) -> None:
    relay = poprelay.POPRelay(
        options,
        mailRelayIsDatabase=1,
        mailRelayDatabaseCommand="/bin/false",
        mailProgramRestart=1,
        mailProgramRestartCommand=f"/usr/bin/touch {tmp_path}/restarted",
    )
    with pytest.raises(MapError, match="/bin/false failed"):
        relay.generate_relay_file()
    assert (tmp_path / "access").read_text() == MARK
    assert not (tmp_path / "restarted").exists()
    poprelay.POPRelay(options, mailRelayIsDatabase=1, mailRelayDatabaseCommand="/usr/bin/tee %r.db < %r").clean_up()
    assert (tmp_path / "access.db").read_text() == MARK


def test_clean_relay_directory_removes_what_has_expired_and_returns_it(
    options: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "spool").mkdir()
    for name, ago in (("9.9.9.9", 60), ("8.8.8.8", 7200)):
        (tmp_path / "spool" / name).write_text("ann")
        os.utime(tmp_path / "spool" / name, (time.time(), time.time() - ago))
    relay = poprelay.POPRelay(options)
    assert relay.clean_relay_directory() == ["8.8.8.8"]
    assert relay.clean_relay_directory() == []
    assert in_spool(tmp_path) == {"9.9.9.9": "ann"}


def test_wipe_relay_directory_removes_everything(options: dict[str, object], tmp_path: Path) -> None:
    relay = poprelay.POPRelay(options)
    relay.add_relay_address("ann", "9.9.9.9")
    relay.generate_relay_file()
    relay.wipe_relay_directory()
    assert in_spool(tmp_path) == {}
    relay.generate_relay_file()
    assert (tmp_path / "access").read_text() == MARK


def test_restart_mail_program_runs_the_command_whether_it_is_switched_on_or_not(
    options: dict[str, object], tmp_path: Path
) -> None:
    poprelay.POPRelay(options, mailProgramRestartCommand=f"/usr/bin/touch {tmp_path}/%m").restart_mail_program()
    assert (tmp_path / "sendmail").exists()
    with pytest.raises(MapError, match="cannot be started"):
        poprelay.POPRelay(options, mailProgramRestartCommand="/nonexistent").restart_mail_program()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("wipeRelayDirectory", "wipe_relay_directory"),
        ("cleanRelayDirectory", "clean_relay_directory"),
        ("generateRelayFile", "generate_relay_file"),
        ("restartMailProgram", "restart_mail_program"),
        ("addRelayAddress", "add_relay_address"),
    ],
)
def test_the_originals_spelling_works_too(theirs: str, ours: str) -> None:
    for kind in (poprelay.POPRelay, poprelay.Daemon):
        assert getattr(kind, theirs) is getattr(kind, ours)


async def test_a_wipe_at_the_end_reaches_the_relay_file_while_its_command_waits_to_be_tried_again(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poprelay.daemon.supervisor.FIRST_PAUSE", 60.0)
    monkeypatch.setattr("poprelay.daemon.daemon.DRAIN", 0.2)
    await asyncio.to_thread(poprelay.POPRelay(options).add_relay_address, "ann", "9.9.9.9")
    failing = {**options, "mailRelayIsDatabase": 1, "mailRelayDatabaseCommand": "/bin/false"}
    daemon = Ours(Path("options"), read=lambda _: old_config(read_old(None, options=failing), None))
    running = asyncio.create_task(daemon.run())
    access = tmp_path / "access"
    while not (access.exists() and "9.9.9.9" in access.read_text()):
        await asyncio.sleep(0.02)
    daemon.stop()
    await asyncio.wait_for(running, 20)
    assert access.read_text() == MARK


async def test_a_command_that_hangs_is_killed_reported_and_tried_again_and_the_relay_file_stays_whole(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("poprelay.maps.uptake.TIMEOUT", 0.3)
    await asyncio.to_thread(poprelay.POPRelay(options).add_relay_address, "ann", "9.9.9.9")
    command = f"/bin/sh -c 'echo run >> {tmp_path}/runs; sleep 60'"
    hanging = {**options, "mailRelayIsDatabase": 1, "mailRelayDatabaseCommand": command}
    daemon = Ours(Path("options"), read=lambda _: old_config(read_old(None, options=hanging), None))
    running = asyncio.create_task(daemon.run())
    runs = tmp_path / "runs"
    while not (runs.exists() and len(runs.read_text().splitlines()) >= 3):
        await asyncio.sleep(0.02)
    assert (tmp_path / "access").read_text() == MARK + "9.9.9.9 RELAY\n"
    daemon.stop()
    await asyncio.wait_for(running, 20)
    assert capsys.readouterr().err.count("did not end within 0.3 s and was killed") >= 2
