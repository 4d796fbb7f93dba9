"""Mail::POPRelay's commands, and `poprelay import`."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from live.running import until

BIN = Path(sys.executable).parent
STARTING = """
import fcntl, os, sys, time
pid_file = open(sys.argv[1], "w")
fcntl.flock(pid_file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(1)
print(os.getpid(), file=pid_file, flush=True)
time.sleep(60)
"""


def ran(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    line = [str(BIN / str(words[0])), *map(str, words[1:])]
    return subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, **env})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "old.conf"
    path.write_text(
        f"mailLogFile = {tmp_path}/maillog\nmailRelayDirectory = {tmp_path}/spool\n"
        f"mailRelayFile = {tmp_path}/access\nmailRelayPeriod = 3600\n"
    )
    return path


def test_import_prints_toml_that_check_accepts(config: Path, tmp_path: Path) -> None:
    imported = ran("poprelay", "import", "--agent", "vpopd", config)
    assert (imported.returncode, imported.stderr) == (0, "")
    assert tomllib.loads(imported.stdout)["sources"][0]["agents"] == ["vpop3d"]
    (tmp_path / "new.toml").write_text(imported.stdout)
    assert ran("poprelay", "check", "-c", tmp_path / "new.toml").returncode == 0


def test_import_of_what_cannot_be_converted_ends_with_65_and_every_mistake(config: Path) -> None:
    config.write_text("mailRelayFil = /x\nmailRelayPeriod = `id`\n")
    imported = ran("poprelay", "import", config)
    assert (imported.returncode, imported.stdout) == (65, "")
    assert imported.stderr.split("\n") == [
        "poprelay: old.conf:1:1: mailRelayFil: is not an option; did you mean 'mailRelayFile'?",
        "poprelay: old.conf:1:1: mailRelayFile: is missing; write the file that the MTA reads",
        "poprelay: old.conf:2:19: mailRelayPeriod: is an expression, and nothing is evaluated; write the value itself",
        "",
    ]


def test_import_of_a_file_that_is_not_there_ends_with_65(tmp_path: Path) -> None:
    imported = ran("poprelay", "import", tmp_path / "none")
    assert imported.returncode == 65
    assert "cannot be read: No such file or directory" in imported.stderr


@pytest.mark.parametrize("name", ["poprelay_ipop3d", "poprelay_qpopper", "poprelay_vpopd", "poprelay_cleanup"])
def test_an_old_command_refuses_a_bad_config_with_78(name: str, config: Path) -> None:
    config.write_text("mailRelayFile = /x\n")
    done = ran(name, config)
    assert done.returncode == 78
    assert "mailRelayPeriod: is missing" in done.stderr
    assert ran(name).returncode == 2


def test_cleanup_says_nothing_and_makes_no_relay_out_of_nothing(config: Path, tmp_path: Path) -> None:
    done = ran("poprelay_cleanup", config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "spool" / ".ledger.db").exists()


class Poprelayd:
    def __init__(self, config: Path, pid_file: Path) -> None:
        self._env = {"POPRELAYD_CONFIG": str(config), "POPRELAYD_PID_FILE": str(pid_file), "POPRELAYD_AGENT": "ipop3d"}

    def __call__(self, action: str) -> int:
        return ran("poprelayd", action, **self._env).returncode


def test_poprelayd_runs_it_in_the_background_with_the_exit_codes_of_init_scripts(config: Path, tmp_path: Path) -> None:
    poprelayd, pid_file = Poprelayd(config, tmp_path / "pid"), tmp_path / "pid"
    assert poprelayd("status") == 3
    assert poprelayd("stop") == 0
    assert poprelayd("reload") == 7
    assert poprelayd("condrestart") == 0
    assert poprelayd("status") == 3, "condrestart starts nothing"
    assert poprelayd("start") == 0
    try:
        first = int(pid_file.read_text())
        assert poprelayd("status") == 0
        assert poprelayd("start") == 0
        assert int(pid_file.read_text()) == first, "it runs once only"
        assert poprelayd("reload") == 0
        assert poprelayd("condrestart") == 0
        second = int(pid_file.read_text())
        assert second != first
        os.kill(second, signal.SIGKILL)
        until(lambda: poprelayd("status") == 1)
        assert poprelayd("restart") == 0
        assert poprelayd("status") == 0
    finally:
        assert poprelayd("stop") == 0
    assert not pid_file.exists()
    assert poprelayd("status") == 3


def test_poprelayd_start_tells_what_keeps_it_from_starting(config: Path, tmp_path: Path) -> None:
    config.write_text("mailRelayFil = /x\n")
    done = ran("poprelayd", "-c", config, "--pid-file", tmp_path / "pid", "start")
    assert done.returncode == 6
    assert "did you mean 'mailRelayFile'?" in done.stderr
    assert not (tmp_path / "pid").exists()
    assert ran("poprelayd", "begin").returncode == 2


def test_a_pid_file_that_names_another_process_is_never_believed(config: Path, tmp_path: Path) -> None:
    poprelayd, pid_file = Poprelayd(config, tmp_path / "pid"), tmp_path / "pid"
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            pid_file.write_text(f"{other.pid}\n")
            assert poprelayd("status") == 1
            assert poprelayd("reload") == 7
            assert poprelayd("stop") == 0
            assert other.poll() is None
            pid_file.write_text(f"{other.pid}\n")
            assert poprelayd("start") == 0
            assert int(pid_file.read_text()) != other.pid
            assert poprelayd("stop") == 0
            assert other.poll() is None
        finally:
            other.kill()


def test_who_only_asks_how_it_is_does_not_keep_it_from_starting(config: Path, tmp_path: Path) -> None:
    poprelayd, pid_file = Poprelayd(config, tmp_path / "pid"), tmp_path / "pid"
    pid_file.touch()
    with pid_file.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        threading.Timer(0.5, lambda: fcntl.flock(asking, fcntl.LOCK_UN)).start()
        assert poprelayd("start") == 0
    try:
        assert poprelayd("status") == 0
    finally:
        assert poprelayd("stop") == 0


def test_who_stops_it_while_it_is_being_started_waits_for_its_number(config: Path, tmp_path: Path) -> None:
    poprelayd, pid_file = Poprelayd(config, tmp_path / "pid"), tmp_path / "pid"
    starting = subprocess.Popen([sys.executable, "-c", STARTING, pid_file], stdout=subprocess.PIPE)
    with starting:
        assert starting.stdout is not None
        assert starting.stdout.readline() == b"held\n"
        assert poprelayd("stop") == 0
        assert starting.wait(10) == -signal.SIGTERM
    assert not pid_file.exists()
