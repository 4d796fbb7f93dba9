"""Two never work on one ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from poprelay.errors import AlreadyRunning, NotPermitted, StoreError
from poprelay.ledger.lock import acquire

HOLD = """
import sys, time
from pathlib import Path
from poprelay.ledger.lock import acquire
with acquire(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused_with_the_process_number_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning) as caught:
            acquire(path)
        first.kill()
    assert caught.value.fields["pid"] == first.pid
    assert str(first.pid) in str(caught.value)
    assert caught.value.remedy


def test_a_killed_holder_leaves_the_ledger_free(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        first.kill()
    acquire(path).release()


def test_the_lock_is_free_after_release_and_its_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    lock = acquire(path)
    with pytest.raises(AlreadyRunning):
        acquire(path)
    lock.release()
    lock.release()
    assert (tmp_path / "ledger.db.lock").exists()
    acquire(path).release()


def test_a_ledger_has_one_lock_by_whatever_name(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    other = tmp_path / "other.db"
    other.symlink_to(path)
    with acquire(path), pytest.raises(AlreadyRunning):
        acquire(other)


def test_nobody_else_may_open_the_lock(tmp_path: Path) -> None:
    acquire(tmp_path / "ledger.db").release()
    assert (tmp_path / "ledger.db.lock").stat().st_mode & 0o777 == 0o600


def test_a_missing_directory_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must exist"):
        acquire(tmp_path / "none" / "ledger.db")


def test_who_holds_it_next_learns_when_a_daemon_last_did(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with acquire(path) as lock:
        lock.beat()
    long_ago = (tmp_path / "ledger.db.lock").stat().st_mtime - 1000
    os.utime(tmp_path / "ledger.db.lock", (long_ago, long_ago))
    for _ in range(2):
        with acquire(path) as lock:
            assert lock.last_beat == long_ago, "one who only takes it leaves that as it is"
    with acquire(path) as lock:
        lock.beat()
    with acquire(path) as lock:
        assert lock.last_beat > long_ago + 900


def test_who_may_not_write_there_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("poprelay.ledger.lock._open", refuse)
    with pytest.raises(NotPermitted, match="may not write the ledger"):
        acquire(tmp_path / "ledger.db")
