"""Copying what another user has written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poprelay.daemon.root.rootcopy import copy_files
from poprelay.errors import MapError, NotPermitted

US = os.geteuid()
NOBODY = 65534
as_root = pytest.mark.skipif(US != 0, reason="only root gives files away")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir(mode=0o755)
    return tmp_path / "etc" / "access"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A file in a directory of the user's own."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "relay").write_text("192.0.2.7\tRELAY\n")
    if US == 0:
        for each in (folder, folder / "relay"):
            os.chown(each, NOBODY, NOBODY)
    return folder / "relay"


def copy(sources: list[Path], to: Path, limit: int = 1000) -> None:
    copy_files(tuple(sources), to, limit, NOBODY if US == 0 else US)


def test_files_go_one_after_the_other_into_one_each_ended_by_a_newline(
    tmp_path: Path, theirs: Path, target: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("9.9.9.9\tREJECT")
    copy([theirs, mine], target)
    assert target.read_text() == "192.0.2.7\tRELAY\n9.9.9.9\tREJECT\n"
    copy([mine, theirs], target)
    assert target.read_text() == "9.9.9.9\tREJECT\n192.0.2.7\tRELAY\n"
    assert [file.name for file in target.parent.iterdir()] == ["access"]


def test_the_target_keeps_its_mode(theirs: Path, target: Path) -> None:
    target.touch()
    target.chmod(0o600)
    copy([theirs], target)
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(theirs: Path, target: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    theirs.unlink()
    theirs.symlink_to(secret)
    with pytest.raises(OSError, match="Too many levels"):
        copy([theirs], target)
    assert not target.exists()


def test_nor_is_a_second_name_of_another_file_taken(theirs: Path, target: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    theirs.unlink()
    theirs.hardlink_to(secret)
    with pytest.raises(NotPermitted, match="not a regular file with one name"):
        copy([theirs], target)


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_regular_file_is_refused_at_once(theirs: Path, target: Path, kind: str) -> None:
    theirs.unlink()
    if kind == "pipe":
        os.mkfifo(theirs)
    else:
        theirs.mkdir()
    with pytest.raises((NotPermitted, IsADirectoryError)):
        copy([theirs], target)


def test_a_file_of_more_than_the_limit_is_refused(theirs: Path, target: Path) -> None:
    theirs.write_bytes(b"x" * 1000)
    copy([theirs], target)
    theirs.write_bytes(b"x" * 1001)
    with pytest.raises(NotPermitted, match="longer than 1000 bytes"):
        copy([theirs], target)
    assert target.stat().st_size == 1001, "a newline was added"


def test_a_target_in_a_directory_that_others_can_write_is_refused(theirs: Path, target: Path) -> None:
    target.parent.chmod(0o777)
    with pytest.raises(NotPermitted, match="others than root can write"):
        copy([theirs], target)


def test_a_target_that_is_a_link_is_refused(theirs: Path, target: Path, tmp_path: Path) -> None:
    target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MapError, match="not a regular file"):
        copy([theirs], target)
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_file_is_told(target: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copy([tmp_path / "none"], target)


@as_root
def test_a_third_users_file_is_refused(theirs: Path, target: Path) -> None:
    os.chown(theirs, NOBODY - 1, NOBODY)
    with pytest.raises(NotPermitted, match="belongs to another user"):
        copy([theirs], target)


@as_root
def test_a_file_of_roots_counts_only_where_the_user_cannot_have_moved_it(theirs: Path, target: Path) -> None:
    os.chown(theirs, 0, 0)
    with pytest.raises(NotPermitted, match="belongs to another user"):
        copy([theirs], target)
