"""A map that somebody else has touched says so, whatever its kind; one that only we have touched does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.maps import Entry, Watched
from poprelay.maps.lmdb import LmdbMap
from poprelay.maps.spool import SpoolMap
from poprelay.maps.sqlite import SqliteMap
from poprelay.maps.text import TextMap
from poprelay.model import Address

HOME = Entry(Address("9.9.9.9"), ("ann",), 1.0, 2.0)
Kept = LmdbMap | SpoolMap | SqliteMap | TextMap
KINDS: dict[str, Callable[[Path], Kept]] = {
    "lmdb": lambda place: LmdbMap(place / "relay.lmdb"),
    "spool": lambda place: SpoolMap(place / "spool"),
    "sqlite": lambda place: SqliteMap(place / "relay.sqlite"),
    "text": lambda place: TextMap(place / "relay.txt", "%i"),
}


@pytest.fixture(params=KINDS)
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    made = KINDS[request.param](tmp_path)
    made.keys()
    return made


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_what_we_did_ourselves_disturbs_nothing(relay: Kept) -> None:
    assert isinstance(relay, Watched)
    assert not relay.disturbed()
    relay.change([HOME], [])
    assert not relay.disturbed()
    relay.change([], [HOME.address])
    assert not relay.disturbed()
    relay.close()


def test_a_map_that_was_removed_is_missed_until_it_is_looked_at(relay: Kept) -> None:
    relay.change([HOME], [])
    remove(relay.path)
    assert relay.disturbed()
    assert relay.keys() == set()
    assert not relay.disturbed()
    relay.close()


def test_what_another_program_does_in_a_spool_before_a_change_of_ours_is_noticed_after_it(tmp_path: Path) -> None:
    relay = SpoolMap(tmp_path / "spool")
    relay.keys()
    (relay.path / "8.8.4.4").touch()
    relay.change([HOME], [])
    assert relay.disturbed()
    assert relay.keys() == {HOME.address, "8.8.4.4"}
    assert not relay.disturbed()
    relay.close()


def test_what_another_program_writes_right_after_our_change_is_noticed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    relay = TextMap(tmp_path / "relay.txt", "%i")
    relay.keys()
    request.getfixturevalue("quick_rival")
    relay.change([HOME], [])
    assert relay.disturbed()


def test_what_another_program_publishes_is_noticed(relay: Kept, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    relay.change([HOME], [])
    other = KINDS[request.node.callspec.params["relay"]](tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.keys()
    other.close()
    remove(relay.path)
    other.path.rename(relay.path)
    assert relay.disturbed()
    relay.close()
