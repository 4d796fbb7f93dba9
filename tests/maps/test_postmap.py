"""Postfix's hash and cdb maps, which postmap makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maps.programs import postmap
from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry
from poprelay.maps.cdb import CdbMap
from poprelay.maps.command import run
from poprelay.maps.hash import HashMap
from poprelay.maps.keys import foreign
from poprelay.maps.postmap import PostmapMap
from poprelay.model import Address

Make = Callable[..., Entry]
KINDS: dict[str, tuple[type[HashMap | CdbMap], str]] = {"hash": (HashMap, ".db"), "cdb": (CdbMap, ".cdb")}


@pytest.fixture(params=KINDS)
def relay(request: pytest.FixtureRequest, tmp_path: Path, section: Callable[..., Section]) -> PostmapMap:
    kind, suffix = KINDS[request.param]
    (tmp_path / "maps").mkdir()
    return kind.from_section(section(path=f"{tmp_path}/maps/relay{suffix}", postmap=postmap(tmp_path)))


def beside(relay: PostmapMap) -> list[str]:
    return sorted(file.name for file in relay.path.parent.iterdir())


def test_a_new_map_is_empty_and_readable_and_nothing_lies_beside_it(relay: PostmapMap) -> None:
    assert relay.keys() == set()
    assert relay.path.stat().st_mode & 0o777 == 0o644
    assert beside(relay) == [relay.path.name]


def test_each_change_is_another_file_with_the_mode_of_the_one_before(relay: PostmapMap, entry: Make) -> None:
    relay.keys()
    relay.path.chmod(0o640)
    before = relay.path.stat().st_ino
    relay.change([entry("192.0.2.7"), entry("2001:db8::7")], [])
    assert relay.path.stat().st_ino != before
    assert relay.path.stat().st_mode & 0o777 == 0o640
    assert relay.keys() == {"192.0.2.7", "2001:db8::7"}
    assert relay.holds(Address("192.0.2.7"))
    assert not relay.holds(Address("192.0.2.8"))


def test_where_nothing_differs_nothing_is_made(relay: PostmapMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    before = relay.path.stat().st_ino
    relay.change([entry("192.0.2.7")], ["192.0.2.8"])
    assert relay.path.stat().st_ino == before


def test_where_postmap_fails_the_map_stays_and_the_next_change_makes_it(
    relay: PostmapMap, entry: Make, tmp_path: Path
) -> None:
    relay.change([entry("192.0.2.7")], [])
    before = relay.path.read_bytes()
    (tmp_path / "fail").touch()
    with pytest.raises(MapError, match="no room"):
        relay.change([], ["192.0.2.7"])
    assert relay.path.read_bytes() == before
    (tmp_path / "fail").unlink()
    relay.change([], ["192.0.2.7"])
    assert relay.keys() == set()
    assert beside(relay) == [relay.path.name]


def test_what_does_not_read_back_is_not_published(
    relay: PostmapMap, entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.change([entry("192.0.2.7")], [])
    before = relay.path.read_bytes()
    monkeypatch.setattr(relay, "_read", lambda _relay, _path: [(b"192.0.2.9", b"OK")])
    with pytest.raises(MapError, match="does not read back"):
        relay.change([entry("192.0.2.8")], [])
    assert relay.path.read_bytes() == before


def test_records_of_others_are_foreign_and_go_with_the_next_change(
    relay: PostmapMap, entry: Make, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    relay.change([entry("192.0.2.7")], [])
    text = tmp_path / "maps" / "relay"
    text.write_text("192.0.2.7\tREJECT\n127\tOK\nunknown\tOK\n192.0.2.8\tOK\n")
    kind = relay.name.partition(" ")[0]
    run((relay.postmap, f"{kind}:{text}"), timeout=10.0)
    assert relay.disturbed()
    found = relay.keys()
    assert found == {foreign(b"192.0.2.7"), foreign(b"127"), foreign(b"unknown"), "192.0.2.8"}
    relay.change([entry("192.0.2.7")], [key for key in found if key.startswith("\0")])
    assert relay.keys() == {"192.0.2.7", "192.0.2.8"}


def test_a_change_by_another_program_is_told_and_the_change_is_published(relay: PostmapMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    relay.path.unlink()
    assert not relay.holds(Address("192.0.2.7"))
    with pytest.raises(MapError, match="another program changed it"):
        relay.change([entry("192.0.2.8")], [])
    assert relay.keys() == {"192.0.2.8"}


def test_what_another_program_does_right_after_our_change_is_noticed(
    relay: PostmapMap, entry: Make, request: pytest.FixtureRequest
) -> None:
    relay.keys()
    request.getfixturevalue("quick_rival")
    relay.change([entry("192.0.2.7")], [])
    assert relay.disturbed()


def test_a_damaged_database_is_told_with_the_remedy(relay: PostmapMap, tmp_path: Path) -> None:
    relay.keys()
    relay.path.write_bytes(b"")
    if relay.name.startswith("hash"):
        (tmp_path / "fail").touch()
    with pytest.raises(MapError) as told:
        relay.keys()
    assert told.value.remedy


def test_what_was_left_half_made_is_removed(relay: PostmapMap) -> None:
    names = [f".{relay.path.name}.4711.new~", f".{relay.path.name}.4711.new~{relay.path.suffix}"]
    for name in names:
        relay.path.with_name(name).touch()
    relay.keys()
    assert beside(relay) == [relay.path.name]


@pytest.mark.parametrize("kind", KINDS)
def test_the_config_names_the_file_with_its_suffix_and_a_value_that_permits(
    kind: str, section: Callable[..., Section], refused: Callable[[Section], list[tuple[str, str, str]]]
) -> None:
    maker, suffix = KINDS[kind]
    bad = section(path="/var/lib/poprelay/relay", value="REJECT", interval="2h")
    maker.from_section(bad)
    assert [(key, remedy) for key, _, remedy in refused(bad)] == [
        ("path", f'write "/var/lib/poprelay/relay{suffix}"'),
        ("value", 'write "OK"'),
        ("interval", "write a span from 0s to 1h"),
    ]
