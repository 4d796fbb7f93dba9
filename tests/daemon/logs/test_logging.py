from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from poprelay.config.settings import LogSettings
from poprelay.daemon.logs.logging import is_journal, set_up_logging
from poprelay.errors import MapError, PoprelayError

log = structlog.get_logger()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Whatever a test sets up is gone after it."""
    complains = logging.getLogger("asyncio")
    before = (complains.handlers[:], complains.propagate, complains.level)
    configuration = structlog.get_config()
    yield
    for handler in set(complains.handlers) - set(before[0]):
        handler.close()
    complains.handlers[:], complains.propagate = before[:2]
    complains.setLevel(before[2])
    structlog.configure(**configuration)


def test_text_goes_to_standard_error_one_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings())
    log.info("grant opened", address="9.9.9.9", user="ann", until=0.0)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(" info: grant opened address=9.9.9.9 user=ann until=1970-01-01T00:00:00.000Z\n")
    assert said.err.count("\n") == 1


def test_json_goes_to_standard_error_one_object_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings(format="json"))
    log.warning("task failed", user="eve\n\udcff", error=MapError("full", errno=28))
    row = json.loads(capsys.readouterr().err)
    assert (row["level"], row["event"], row["user"]) == ("warning", "task failed", "eve\n\udcff")
    assert (row["error"], row["errno"]) == ("full", 28)


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_less_grave_than_the_level_is_not_said(
    level: str, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(LogSettings(level=level))
    for each in ("debug", "info", "warning", "error"):
        getattr(log, each)("event")
    assert [line.split()[1].rstrip(":") for line in capsys.readouterr().err.splitlines()] == said


def test_an_exception_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings())
    try:
        raise ZeroDivisionError("x\x1b[2J")
    except ZeroDivisionError:
        log.exception("task broke", task="map")
    first, *traceback = capsys.readouterr().err.splitlines()
    assert first.endswith(" error: task broke task=map")
    assert traceback[0] == "    Traceback (most recent call last):"
    assert traceback[-1] == r"    ZeroDivisionError: x\x1b[2J"


def test_what_asyncio_complains_of_is_told_in_our_form(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings())
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: %s", "\x1b[2J")
    assert capsys.readouterr().err.endswith(" error: Task exception was never retrieved\\x0afuture: \\x1b[2J\n")


def test_what_asyncio_has_a_traceback_of_is_told_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings())
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=ZeroDivisionError("x"))
    first, *traceback = capsys.readouterr().err.splitlines()
    assert first.endswith(" error: Task exception was never retrieved")
    assert traceback == ["    ZeroDivisionError: x"]


def test_a_record_of_a_level_that_nobody_knows_is_written_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(5)
        set_up_logging(LogSettings(to="syslog"), syslog=str(tmp_path / "log"))
        logging.getLogger("asyncio").log(25, "odd")
        said = daemon.recv(4096)
    assert said.startswith(b"<30>")
    assert said.endswith(b": level 25: odd")


def test_setting_up_again_replaces_what_was_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings())
    set_up_logging(LogSettings(format="json", level="warning"))
    log.info("not said")
    log.warning("said once")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "said once"


def test_standard_error_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    set_up_logging(LogSettings())
    closed.close()
    log.error("nobody hears")


def test_syslog_gets_text_without_a_second_stamp(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(5)
        set_up_logging(LogSettings(to="syslog"), syslog=str(tmp_path / "log"))
        log.warning("task failed", task="map lmdb")
        assert daemon.recv(4096).endswith(b']: warning: task failed task="map lmdb"')


def test_without_a_syslog_the_old_set_up_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings())
    with pytest.raises(PoprelayError, match="there is no syslog at"):
        set_up_logging(LogSettings(to="syslog"), syslog=str(tmp_path / "log"))
    log.info("still said")
    assert capsys.readouterr().err.endswith(" info: still said\n")


def test_the_journal_is_known_by_the_file_that_systemd_names(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
        seen = os.fstat(journal.fileno())
        environ = {"JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino}"}
        assert is_journal(journal, environ)
        assert not is_journal(other, environ)
        assert not is_journal(journal, {})
    assert not is_journal(io.StringIO(), environ)


def test_in_the_journal_each_line_begins_with_its_priority_and_has_no_stamp(tmp_path: Path) -> None:
    program = (
        "import structlog\n"
        "from poprelay.config.settings import LogSettings\n"
        "from poprelay.daemon.logs.logging import set_up_logging\n"
        "set_up_logging(LogSettings())\n"
        "structlog.get_logger().warning('task failed', user='a\\n<0>b')\n"
    )
    with (tmp_path / "journal").open("w") as journal:
        seen = os.fstat(journal.fileno())
        environ = {**os.environ, "JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino}"}
        subprocess.run([sys.executable, "-c", program], stderr=journal, env=environ, check=True)
    assert (tmp_path / "journal").read_text() == "<4>warning: task failed user=a\\x0a<0>b\n"
