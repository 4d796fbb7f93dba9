from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poprelay.daemon.logs import syslog
from poprelay.daemon.logs.syslog import Syslog
from poprelay.errors import PoprelayError


class Daemon:
    """A syslogd: what it has received."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start()

    def start(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(5)

    def stop(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def received(self) -> bytes:
        return self.socket.recv(65_536)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(tmp_path / "log")
    yield one
    one.stop()


@pytest.fixture
def destination(daemon: Daemon) -> Iterator[Syslog]:
    one = Syslog(str(daemon.path))
    yield one
    one.close()


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", 31), ("info", 30), ("warning", 28), ("error", 27), ("critical", 26)],
)
def test_a_line_arrives_as_the_c_library_writes_it_under_the_facility_daemon(
    level: str, priority: int, daemon: Daemon, destination: Syslog
) -> None:
    destination.write(level, "started")
    stamp = rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rb"<%d>%s poprelay\[%d\]: started" % (priority, stamp, os.getpid()), daemon.received())


def test_each_line_is_a_message_of_its_own(daemon: Daemon, destination: Syslog) -> None:
    destination.write("info", "task broke\n    Traceback")
    assert [daemon.received().split(b": ", 1)[1] for _ in range(2)] == [b"task broke", b"    Traceback"]


def test_what_cannot_be_encoded_is_escaped(daemon: Daemon, destination: Syslog) -> None:
    destination.write("info", "caf\udce9 é")
    assert daemon.received().endswith(rb": caf\udce9 " + "é".encode())


def test_a_syslog_that_was_restarted_is_found_again(daemon: Daemon, destination: Syslog) -> None:
    daemon.stop()
    daemon.start()
    destination.write("info", "still here")
    assert daemon.received().endswith(b": still here")


def test_while_there_is_none_lines_go_to_standard_error_and_then_again_destination(
    daemon: Daemon, destination: Syslog, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.stop()
    destination.write("info", "info: alone")
    assert capsys.readouterr().err == f"info: alone (syslog at {daemon.path} does not take it)\n"
    daemon.start()
    destination.write("info", "together")
    assert daemon.received().endswith(b": together")
    assert capsys.readouterr().err == ""


def test_one_that_is_stuck_holds_us_up_once_and_not_again_until_it_takes_a_line(
    daemon: Daemon, destination: Syslog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "PATIENCE", 0.05)
    waits: list[float] = []

    def settimeout(self: socket.socket, seconds: float, settimeout: Any = socket.socket.settimeout) -> None:
        waits.append(seconds)
        settimeout(self, seconds)

    monkeypatch.setattr(socket.socket, "settimeout", settimeout)
    destination._patience = syslog.PATIENCE
    refused: list[bool] = []
    for number in range(2000):
        destination.write("info", f"line {number}")
        refused.append("does not take it" in capsys.readouterr().err)
    assert sum(refused) > 100
    assert sum(map(bool, waits)) == 1, "it waits for the first that is not taken"
    waits.clear()
    daemon.received()
    destination.write("info", "taken")
    destination.write("info", "and again with patience")
    assert waits[-1] == 0.05


def test_a_line_that_is_too_long_for_a_datagram_goes_to_standard_error(
    daemon: Daemon, destination: Syslog, capsys: pytest.CaptureFixture[str]
) -> None:
    destination.write("info", "x" * 10_000_000)
    assert "does not take it" in capsys.readouterr().err


def test_without_a_syslog_it_cannot_be_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "PATHS", (f"{tmp_path}/a", f"{tmp_path}/b"))
    with pytest.raises(PoprelayError) as error:
        Syslog()
    assert error.value.message == f"there is no syslog at {tmp_path}/a, {tmp_path}/b"
    assert error.value.remedy == 'start one, or write to = "stderr" in [log]'
    with pytest.raises(PoprelayError, match=f"there is no syslog at {tmp_path}/c"):
        Syslog(f"{tmp_path}/c")


def test_nothing_is_left_to_close_where_it_could_not_be_set_up(tmp_path: Path) -> None:
    program = (
        "from poprelay.daemon.logs.syslog import Syslog\nfrom poprelay.errors import PoprelayError\n"
        f"try:\n    Syslog({str(tmp_path / 'no')!r})\nexcept PoprelayError:\n    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_where_the_system_has_it(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "PATHS", (str(daemon.path.parent / "no"), str(daemon.path)))
    destination = Syslog()
    destination.write("info", "found")
    destination.close()
    assert daemon.received().endswith(b": found")
