"""What an older daemon left in its spool."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poprelay.errors import MapError
from poprelay.maps.spool import SpoolMap

NOW = 1_700_000_000.0


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir(mode=0o755)
    return path


def leave(spool: Path, name: str, user: str = "ann", at: float = NOW - 60, mode: int = 0o644) -> None:
    file = spool / name
    file.write_text(user)
    file.chmod(mode)
    os.utime(file, (NOW - 1, at))


def found(spool: Path) -> list[tuple[str, str, float]]:
    return [(login.address, login.user, login.at) for login in SpoolMap(spool, adopt=True).inherited(NOW)]


def test_each_file_is_a_login_at_its_modification_time_not_its_access_time(spool: Path) -> None:
    leave(spool, "9.9.9.9", "ann.b+c-d@example.net")
    leave(spool, "2001:db8::7", "bob", NOW - 5)
    assert found(spool) == [("2001:db8::7", "bob", NOW - 5), ("9.9.9.9", "ann.b+c-d@example.net", NOW - 60)]


def test_a_file_from_the_future_counts_from_now(spool: Path) -> None:
    leave(spool, "9.9.9.9", at=NOW + 86_400)
    assert found(spool) == [("9.9.9.9", "ann", NOW)]


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_not_believed(spool: Path, mode: int) -> None:
    leave(spool, "9.9.9.9", mode=mode)
    assert found(spool) == []


@pytest.mark.parametrize("name", ["9.9.9", "009.9.9.9", "mx.example.net", ".9.9.9.9", "2001:DB8::7"])
def test_a_name_that_is_no_canonical_address_is_not_believed(spool: Path, name: str) -> None:
    leave(spool, name)
    assert found(spool) == []


def test_only_a_regular_file_is_believed(spool: Path) -> None:
    leave(spool, "target")
    (spool / "9.9.9.9").symlink_to(spool / "target")
    (spool / "8.8.8.8").mkdir()
    os.mkfifo(spool / "7.7.7.7")
    os.link(spool / "target", spool / "6.6.6.6")
    assert found(spool) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_believed(spool: Path) -> None:
    leave(spool, "9.9.9.9")
    os.chown(spool / "9.9.9.9", 12345, 12345)
    assert found(spool) == []


def test_a_directory_that_others_can_write_is_not_believed_at_all(spool: Path) -> None:
    leave(spool, "9.9.9.9")
    spool.chmod(0o777)
    with pytest.raises(MapError, match="others than its owner could write in it"):
        found(spool)


def test_without_adopt_nothing_is_taken_over(spool: Path) -> None:
    leave(spool, "9.9.9.9")
    assert SpoolMap(spool).inherited(NOW) == ()


def test_a_directory_that_others_could_write_in_is_closed_to_them_and_not_believed(spool: Path) -> None:
    leave(spool, "9.9.9.9")
    spool.chmod(0o777)
    relay = SpoolMap(spool, adopt=True)
    relay.make()
    assert spool.stat().st_mode & 0o777 == 0o755
    with pytest.raises(MapError, match="others than its owner could write in it"):
        relay.inherited(NOW)
    relay.close()
