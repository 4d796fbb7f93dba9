"""Replacing a file whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poprelay.maps import atomic


def names(directory: Path) -> list[str]:
    """What is in a directory, hidden files too."""
    return sorted(found.name for found in directory.iterdir())


def test_a_new_file_can_be_read_by_everybody_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "relay"
    before = os.umask(0o077)
    try:
        atomic.replace(path, b"new\n", None)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new\n"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_replaced_file_keeps_its_mode_and_gets_a_new_modification_time(tmp_path: Path) -> None:
    path = tmp_path / "relay"
    path.write_bytes(b"old\n")
    path.chmod(0o640)
    os.utime(path, (1, 1))
    atomic.replace(path, b"new\n", path.stat())
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mtime > 1_000_000_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_replaced_file_keeps_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "relay"
    path.write_bytes(b"old\n")
    os.chown(path, 1234, 2345)
    atomic.replace(path, b"new\n", path.stat())
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_a_reader_keeps_the_old_content_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "relay"
    path.write_bytes(b"old\n")
    with path.open("rb") as reader:
        atomic.replace(path, b"new and longer\n", path.stat())
        assert reader.read() == b"old\n"


def test_a_file_that_somebody_changed_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "relay"
    path.write_bytes(b"old\n")
    like = path.stat()
    path.write_bytes(b"a person was here\n")
    with pytest.raises(atomic.ChangedMeanwhileError):
        atomic.replace(path, b"new\n", like)
    path.unlink()
    with pytest.raises(atomic.ChangedMeanwhileError):
        atomic.replace(path, b"new\n", like)
    path.write_bytes(b"a person was here\n")
    with pytest.raises(atomic.ChangedMeanwhileError):
        atomic.replace(path, b"new\n", None)
    assert path.read_bytes() == b"a person was here\n"


def test_nothing_is_left_beside_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "relay").mkdir()
    with pytest.raises(OSError, match="directory"):
        atomic.replace(tmp_path / "relay", b"new\n", (tmp_path / "relay").stat())
    assert names(tmp_path) == ["relay"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep\n")
    path = tmp_path / "relay"
    (tmp_path / atomic.temporary("relay")).symlink_to(victim)
    atomic.replace(path, b"new\n", None)
    assert victim.read_bytes() == b"keep\n"
    assert path.read_bytes() == b"new\n"


def test_what_a_dead_process_left_half_prepared_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".relay.4711.new", ".relay.new", "relay.4711.new", ".other.4711.new", ".relay.4711.newer", "relay"):
        (tmp_path / name).touch()
    atomic.sweep(tmp_path / "relay")
    assert names(tmp_path) == [
        ".other.4711.new",
        ".relay.4711.newer",
        ".relay.new",
        "relay",
        "relay.4711.new",
    ]
