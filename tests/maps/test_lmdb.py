"""Postfix's lmdb map."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry, environment
from poprelay.maps.keys import foreign
from poprelay.maps.lmdb import LmdbMap

Make = Callable[..., Entry]
Refusals = Callable[[Section], list[tuple[str, str, str]]]


def names(directory: Path) -> list[str]:
    """What is in a directory, hidden files too."""
    return sorted(found.name for found in directory.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.lmdb"


@pytest.fixture
def relay(path: Path) -> Iterator[LmdbMap]:
    relay = LmdbMap(path)
    yield relay
    relay.close()


def records(path: Path) -> dict[bytes, bytes]:
    """What another process finds in the file."""
    program = (
        "import sys, lmdb; e = lmdb.open(sys.argv[1], subdir=False, lock=False, readonly=True, lib_version=0)\n"
        "with e.begin() as t: print(dict(t.cursor()))"
    )
    result = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    found = eval(result.stdout)
    assert isinstance(found, dict)
    return found


def elsewhere(path: Path, statement: str) -> None:
    """Change the file as another program does; `t` is the transaction."""
    program = (
        "import sys, lmdb; e = lmdb.open(sys.argv[1], subdir=False, lock=False, map_size=1 << 30, lib_version=0)\n"
        f"with e.begin(write=True) as t: {statement}"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True)


def test_nothing_is_touched_before_the_first_call(path: Path) -> None:
    LmdbMap(path).close()
    assert not path.exists()


def test_a_missing_map_is_made_empty_and_readable_by_everybody(path: Path, relay: LmdbMap) -> None:
    before = os.umask(0o077)
    try:
        assert relay.keys() == set()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == ["relay.lmdb"]
    assert records(path) == {}


def test_a_record_is_address_and_value_each_with_one_nul_as_postmap_writes_them(
    path: Path, relay: LmdbMap, entry: Make
) -> None:
    relay.change([entry("192.0.2.7"), entry("2001:db8::7")], [])
    assert records(path) == {b"192.0.2.7\0": b"OK\0", b"2001:db8::7\0": b"OK\0"}
    assert relay.keys() == {"192.0.2.7", "2001:db8::7"}


def test_what_is_removed_is_gone_and_removing_it_again_does_no_harm(relay: LmdbMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7"), entry("192.0.2.8")], [])
    relay.change([], ["192.0.2.7"])
    relay.change([], ["192.0.2.7"])
    assert relay.keys() == {"192.0.2.8"}


def test_what_is_removed_and_added_in_one_change_is_there(relay: LmdbMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], ["192.0.2.7"])
    assert relay.keys() == {"192.0.2.7"}


@pytest.mark.parametrize("key", ["192.0.2", "unknown", "", ":", "2001:db8:0:1::/64", "192.0.2.7\0"])
def test_a_key_that_is_no_full_address_is_refused_and_the_whole_change_with_it(
    relay: LmdbMap, entry: Make, key: str
) -> None:
    with pytest.raises(ValueError, match="may not be a key"):
        relay.change([entry("192.0.2.7"), entry(key)], [])
    with pytest.raises(ValueError, match="may not be a key"):
        relay.change([entry("192.0.2.7")], [key])
    assert relay.keys() == set()


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"127\0", b"OK\0"), (b"unknown\0", b"OK\0"), (b"192.0.2.7", b"OK"), (b"192.0.2.7\0", b"0\0"), (b"\xff", b"")],
)
def test_a_record_that_is_not_as_we_write_it_is_foreign_and_goes_when_handed_back(
    path: Path, relay: LmdbMap, entry: Make, key: bytes, value: bytes
) -> None:
    relay.change([entry("192.0.2.9")], [])
    relay.close()
    elsewhere(path, f"t.put({key!r}, {value!r})")
    assert relay.keys() == {"192.0.2.9", foreign(key)}
    relay.change([entry("192.0.2.7")], [foreign(key)])
    assert records(path) == {b"192.0.2.7\0": b"OK\0", b"192.0.2.9\0": b"OK\0"}


def test_a_foreign_record_that_has_become_ours_meanwhile_stays(path: Path, relay: LmdbMap, entry: Make) -> None:
    relay.keys()
    relay.close()
    elsewhere(path, r"t.put(b'192.0.2.7\0', b'REJECT\0')")
    held = relay.keys()
    relay.change([entry("192.0.2.7")], [])
    relay.change([], held)
    assert records(path) == {b"192.0.2.7\0": b"OK\0"}


def test_another_value_in_the_config_makes_every_record_foreign(path: Path, relay: LmdbMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    relay.close()
    other = LmdbMap(path, "permit")
    held = other.keys()
    assert "192.0.2.7" not in held
    other.change([entry("192.0.2.7")], held)
    other.close()
    assert records(path) == {b"192.0.2.7\0": b"permit\0"}


def test_a_file_that_was_replaced_is_opened_anew_written_and_told(path: Path, relay: LmdbMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    other = LmdbMap(path.with_name("other.lmdb"))
    other.change([entry("198.51.100.1")], [])
    other.close()
    other.path.replace(path)
    with pytest.raises(MapError, match="the file was replaced"):
        relay.change([entry("192.0.2.8")], [])
    assert relay.keys() == {"198.51.100.1", "192.0.2.8"}
    relay.change([], ["198.51.100.1"])
    assert relay.keys() == {"192.0.2.8"}


def test_a_file_that_was_removed_is_made_again_and_told(path: Path, relay: LmdbMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    path.unlink()
    with pytest.raises(MapError, match="the file was replaced"):
        relay.change([], [])
    path.unlink()
    assert relay.keys() == set()
    assert path.exists()


def test_another_programs_change_is_noticed_at_our_next_and_told(path: Path, relay: LmdbMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    elsewhere(path, r"t.put(b'10.9.9.9\0', b'OK\0')")
    with pytest.raises(MapError, match="another program changed it"):
        relay.change([entry("192.0.2.8")], [])
    assert relay.keys() == {"10.9.9.9", "192.0.2.7", "192.0.2.8"}
    relay.change([], ["10.9.9.9"])
    elsewhere(path, r"t.put(b'10.9.9.9\0', b'OK\0')")
    with pytest.raises(MapError, match="another program changed it"):
        relay.change([], [])


def test_our_own_changes_are_not_taken_for_anothers(relay: LmdbMap, entry: Make) -> None:
    for _ in range(3):
        relay.change([], [])
        relay.change([entry("192.0.2.7")], [])
        relay.change([], ["192.0.2.9"])
        relay.keys()
        relay.change([], [])


def test_a_file_that_another_program_made_bigger_than_our_address_space_is_still_changed(
    path: Path, relay: LmdbMap, entry: Make
) -> None:
    relay.keys()
    elsewhere(path, r"[t.put(b'10.%d.%d.%d\0' % (i >> 16, i >> 8 & 255, i & 255), b'OK\0') for i in range(600_000)]")
    assert path.stat().st_size > environment.FIRST_SIZE
    with pytest.raises(MapError, match="another program changed it"):
        relay.change([entry("192.0.2.7")], [])
    relay.change([entry("192.0.2.8")], ["192.0.2.7"])
    assert len(relay.keys()) == 600_001


def test_the_config_names_the_file_with_its_suffix_and_a_value_that_permits(
    section: Callable[..., Section], refused: Refusals
) -> None:
    good = section(path="/var/lib/poprelay/relay.lmdb")
    assert LmdbMap.from_section(good).name == "lmdb /var/lib/poprelay/relay.lmdb"
    assert not refused(good)
    bad = section(path="/var/lib/poprelay/relay", value="RELAY")
    LmdbMap.from_section(bad)
    assert refused(bad) == [
        ("path", "Postfix adds .lmdb to the name that its config has", 'write "/var/lib/poprelay/relay.lmdb"'),
        ("value", "'RELAY' is Sendmail's word, and permits in Postfix only by accident", 'write "OK"'),
    ]


@pytest.mark.parametrize("keys", [{}, {"path": "relay"}, {"path": 7}, {"path": "/x/relay.lmdb", "value": ""}])
def test_a_mistake_that_the_config_has_told_is_not_told_twice(
    section: Callable[..., Section], refused: Refusals, keys: dict[str, Any]
) -> None:
    bad = section(**keys)
    LmdbMap.from_section(bad)
    assert len(refused(bad)) == 1


def test_on_a_full_disk_nothing_is_added_and_all_can_be_removed(
    relay: LmdbMap, path: Path, entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [entry(f"9.9.{number >> 8}.{number & 255}") for number in range(2000)]
    relay.change(held, [])
    size = path.stat().st_size

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    for one in held:
        relay.change([], [one.address])
    assert path.stat().st_size == size, "what was spare sufficed"
    relay.change(held, [])
    more = [entry(f"8.8.{number >> 8}.{number & 255}") for number in range(20_000)]
    with pytest.raises(MapError, match="No space left on device"):
        _add_one_by_one(relay, more)


def _add_one_by_one(relay: LmdbMap, entries: list[Entry]) -> None:
    for start in range(0, len(entries), 100):
        relay.change(entries[start : start + 100], [])


def test_a_map_that_may_not_be_looked_at_any_more_is_still_changed_and_says_so(
    relay: LmdbMap, path: Path, entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.change([entry("9.9.9.9")], [])
    stat = Path.stat

    def refuse(self: Path, **options: bool) -> os.stat_result:
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(MapError, match=f"Permission denied: .*write in {path.parent}"):
        relay.disturbed()
    relay.change([], ["9.9.9.9"])
    monkeypatch.undo()
    assert records(path) == {}
