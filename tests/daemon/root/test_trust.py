"""Whether only root can have written a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poprelay.daemon.root.trust import check_trusted
from poprelay.errors import NotPermitted

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a" / "b" / "file"
    path.parent.mkdir(parents=True, mode=0o755)
    path.touch(mode=0o644)
    return path


def test_a_file_that_nobody_else_can_change_is_trusted(file: Path) -> None:
    assert check_trusted(file) == file


def test_a_missing_file_is_told_as_missing(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_trusted(file.with_name("none"))


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_not(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(NotPermitted, match=r"others than root can write .*/file: chmod go-w"):
        check_trusted(file)


@pytest.mark.parametrize("mode", [0o775, 0o757])
@pytest.mark.parametrize("folder", [".", ".."])
def test_nor_one_in_a_directory_that_others_can_write_however_far_above(file: Path, folder: str, mode: int) -> None:
    (file.parent / folder).resolve().chmod(mode)
    with pytest.raises(NotPermitted, match="others than root can write"):
        check_trusted(file)


def test_a_directory_like_tmp_does_no_harm_above_but_is_not_trusted_itself(file: Path) -> None:
    file.parent.parent.chmod(0o1777)
    assert check_trusted(file) == file
    with pytest.raises(NotPermitted):
        check_trusted(file.parent.parent)


def test_links_are_followed_and_so_judged(file: Path, tmp_path: Path) -> None:
    (tmp_path / "absolute").symlink_to(file)
    (tmp_path / "relative").symlink_to("a/../absolute")
    assert check_trusted(tmp_path / "relative") == file
    file.parent.chmod(0o777)
    with pytest.raises(NotPermitted):
        check_trusted(tmp_path / "relative")


def test_a_link_in_a_directory_that_others_can_write_is_not_trusted_wherever_it_leads(
    file: Path, tmp_path: Path
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(file)
    (tmp_path / "way").symlink_to(tmp_path / "open" / "link")
    assert check_trusted(tmp_path / "way") == file
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(NotPermitted):
        check_trusted(tmp_path / "way")


def test_links_in_a_ring_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="Too many levels"):
        check_trusted(tmp_path / "one")


@as_root
@pytest.mark.parametrize("which", [".", "..", "file"])
def test_what_belongs_to_another_user_is_not_trusted(file: Path, which: str) -> None:
    os.chown(file.parent / which, 65534, 65534)
    with pytest.raises(NotPermitted, match="belongs to another user than root"):
        check_trusted(file)


@as_root
def test_nor_is_another_users_link_in_a_directory_like_tmp(file: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    link = tmp_path / "shared" / "link"
    link.symlink_to(file)
    assert check_trusted(link) == file
    os.lchown(link, 65534, 65534)
    with pytest.raises(NotPermitted):
        check_trusted(link)
