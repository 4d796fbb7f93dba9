"""The directory with one file for each address."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry
from poprelay.maps.keys import foreign
from poprelay.maps.spool import SpoolMap

Make = Callable[..., Entry]
Refusals = Callable[[Section], list[tuple[str, str, str]]]


def names(directory: Path) -> list[str]:
    """What is in a directory, hidden files too."""
    return sorted(found.name for found in directory.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def relay(path: Path) -> Iterator[SpoolMap]:
    relay = SpoolMap(path)
    yield relay
    relay.close()


def test_nothing_is_touched_before_the_first_call(path: Path) -> None:
    SpoolMap(path).close()
    assert not path.exists()


def test_a_missing_directory_is_made_so_that_every_mta_may_look_into_it(path: Path, relay: SpoolMap) -> None:
    before = os.umask(0o077)
    try:
        assert relay.keys() == set()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o755


def test_a_file_is_named_by_the_address_and_holds_the_user_and_the_time_of_the_login(
    path: Path, relay: SpoolMap, entry: Make
) -> None:
    relay.change([entry("192.0.2.7", "ann@example.org", at=1_700_000_000.25), entry("2001:db8::7", "bob")], [])
    assert names(path) == ["192.0.2.7", "2001:db8::7"]
    assert (path / "192.0.2.7").read_bytes() == b"ann@example.org"
    assert (path / "192.0.2.7").stat().st_mtime_ns == 1_700_000_000_250_000_000
    assert (path / "192.0.2.7").stat().st_mode & 0o777 == 0o644
    assert relay.keys() == {"192.0.2.7", "2001:db8::7"}


def test_several_users_stand_on_a_line_each(path: Path, relay: SpoolMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7", "ann", "bob", "caf\udce9")], [])
    assert (path / "192.0.2.7").read_bytes() == b"ann\nbob\ncaf\xe9"


def test_a_control_character_in_a_user_name_cannot_forge_another_user(path: Path, relay: SpoolMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7", "ann\nroot\0x")], [])
    assert (path / "192.0.2.7").read_bytes() == b"ann?root?x"


def test_the_form_of_relay_ctrl_names_user_and_domain(path: Path, entry: Make) -> None:
    relay = SpoolMap(path, "relay-ctrl")
    relay.change([entry("192.0.2.7", "ann"), entry("192.0.2.8", "bob@example.org")], [])
    relay.close()
    assert (path / "192.0.2.7").read_bytes() == b"USER=ann\0"
    assert (path / "192.0.2.8").read_bytes() == b"USER=bob\0DOMAIN=example.org\0"


def test_a_renewal_moves_the_modification_time_and_keeps_the_file(path: Path, relay: SpoolMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7", at=1000.0)], [])
    before = (path / "192.0.2.7").stat()
    relay.change([entry("192.0.2.7", at=2000.0)], [])
    after = (path / "192.0.2.7").stat()
    assert (before.st_mtime, after.st_mtime) == (1000.0, 2000.0)
    assert before.st_ino == after.st_ino


def test_a_renewal_that_says_the_same_touches_nothing(path: Path, relay: SpoolMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7", at=1000.0)], [])
    before = (path / "192.0.2.7").stat()
    relay.change([entry("192.0.2.7", at=1000.0)], [])
    assert (path / "192.0.2.7").stat().st_ctime_ns == before.st_ctime_ns


def test_another_user_at_the_address_changes_the_content(path: Path, relay: SpoolMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7", "ann")], [])
    relay.change([entry("192.0.2.7", "ann", "bob")], [])
    assert (path / "192.0.2.7").read_bytes() == b"ann\nbob"


def test_what_is_removed_is_gone_and_removing_it_again_does_no_harm(relay: SpoolMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7"), entry("192.0.2.8")], [])
    relay.change([], ["192.0.2.7"])
    relay.change([], ["192.0.2.7"])
    assert relay.keys() == {"192.0.2.8"}


def test_what_is_removed_and_added_in_one_change_is_there(relay: SpoolMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], ["192.0.2.7"])
    assert relay.keys() == {"192.0.2.7"}


FOREIGN_NAMES = [
    ".ledger.db",
    ".ledger.db-wal",
    "README",
    "192.0.2",
    "192.0.2.07",
    "2001:DB8::7",
    "mx.example.org",
    "lost+found",
]


def test_names_that_are_no_canonical_address_are_somebody_elses_and_stay(
    path: Path, relay: SpoolMap, entry: Make
) -> None:
    path.mkdir()
    for name in FOREIGN_NAMES:
        (path / name).write_bytes(b"keep")
    relay.change([entry("192.0.2.7")], [])
    assert relay.keys() == {"192.0.2.7"}
    relay.change([], ["192.0.2.7"])
    assert names(path) == sorted(FOREIGN_NAMES)
    assert all((path / name).read_bytes() == b"keep" for name in FOREIGN_NAMES)


@pytest.mark.parametrize("key", [*FOREIGN_NAMES, "..", "../other/192.0.2.7", "", "2001:db8:0:1::/64"])
def test_a_key_that_is_no_full_address_is_refused_and_the_whole_change_with_it(
    path: Path, relay: SpoolMap, entry: Make, key: str
) -> None:
    good = entry("192.0.2.7")
    for added, removed in (([good, entry(key)], []), ([good], [key]), ([good], [foreign(key.encode())])):
        with pytest.raises(ValueError, match="may not be a key"):
            relay.change(added, removed)
    assert not path.exists()


def test_a_directory_is_neither_a_key_nor_touched(path: Path, relay: SpoolMap, entry: Make) -> None:
    (path / "192.0.2.7").mkdir(parents=True)
    assert relay.keys() == set()
    with pytest.raises(MapError, match="there is a directory where a file belongs"):
        relay.change([entry("192.0.2.7")], [])
    assert (path / "192.0.2.7").is_dir()
    assert names(path) == ["192.0.2.7"]


def test_a_symbolic_link_is_never_followed_but_replaced_or_removed(
    tmp_path: Path, path: Path, relay: SpoolMap, entry: Make
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"ann")
    os.utime(victim, (1, 1))
    path.mkdir()
    for name in ("192.0.2.7", "192.0.2.8"):
        (path / name).symlink_to(victim)
    held = relay.keys()
    assert held == {foreign(b"192.0.2.7"), foreign(b"192.0.2.8")}
    relay.change([entry("192.0.2.7")], held)
    assert relay.keys() == {"192.0.2.7"}
    assert not (path / "192.0.2.7").is_symlink()
    assert (victim.read_bytes(), victim.stat().st_mtime) == (b"ann", 1)


def test_a_foreign_file_that_has_become_ours_meanwhile_stays(
    tmp_path: Path, path: Path, relay: SpoolMap, entry: Make
) -> None:
    path.mkdir()
    (path / "192.0.2.7").symlink_to(tmp_path)
    held = relay.keys()
    relay.change([entry("192.0.2.7")], [])
    relay.change([], held)
    assert relay.keys() == {"192.0.2.7"}


def test_a_pipe_in_the_place_of_a_file_does_not_hang_us(path: Path, relay: SpoolMap, entry: Make) -> None:
    path.mkdir()
    os.mkfifo(path / "192.0.2.7")
    relay.change([entry("192.0.2.7")], [])
    assert relay.keys() == {"192.0.2.7"}


def test_a_file_linked_from_elsewhere_is_replaced_not_written(
    tmp_path: Path, path: Path, relay: SpoolMap, entry: Make
) -> None:
    relay.change([entry("192.0.2.7", "ann", at=1000.0)], [])
    (tmp_path / "outside").hardlink_to(path / "192.0.2.7")
    relay.change([entry("192.0.2.7", "ann", at=2000.0)], [])
    assert (tmp_path / "outside").stat().st_mtime == 1000.0
    assert (path / "192.0.2.7").stat().st_mtime == 2000.0


def test_a_directory_that_was_replaced_is_opened_anew_written_and_told(
    path: Path, relay: SpoolMap, entry: Make
) -> None:
    relay.change([entry("192.0.2.7")], [])
    path.rename(path.with_name("old"))
    with pytest.raises(MapError, match="the directory was replaced"):
        relay.change([entry("192.0.2.8")], [])
    assert relay.keys() == {"192.0.2.8"}
    path.rename(path.with_name("older"))
    assert relay.keys() == set()


def test_half_prepared_files_of_a_dead_process_are_swept_and_only_those(path: Path, relay: SpoolMap) -> None:
    path.mkdir()
    for name in (".192.0.2.7.4711.new", ".ledger.db.4711.new", ".1062420205.12:4711"):
        (path / name).touch()
    assert relay.keys() == set()
    assert names(path) == [".1062420205.12:4711", ".ledger.db.4711.new"]


def test_a_missing_parent_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"create the directory .*/nowhere"):
        SpoolMap(tmp_path / "nowhere" / "spool").keys()


def test_5_000_addresses_have_a_file_each(
    path: Path, relay: SpoolMap, entry: Make, addresses: Callable[[int], list[str]]
) -> None:
    many = addresses(5_000)
    relay.change([entry(address) for address in many], [])
    assert set(names(path)) == relay.keys() == set(many)
    relay.change([], many[1:])
    assert names(path) == [many[0]]


KILLED = """
import sys
from pathlib import Path
from typing import Any
from poprelay.maps import Entry
from poprelay.maps.spool import SpoolMap
relay = SpoolMap(Path(sys.argv[1]))
names = [f"10.0.{n >> 8}.{n & 255}" for n in range(300)]
generation = 0
while True:
    generation += 1
    relay.change([Entry(name, (f"user{generation}" * 50,), float(generation), 2.0) for name in names], [])
    if generation == 1:
        print("published", flush=True)
"""


def test_a_process_killed_in_the_middle_of_a_change_leaves_every_file_as_before_or_after(
    path: Path, relay: SpoolMap, kill_repeatedly: Callable[[str, Path, int], Iterator[int]]
) -> None:
    for _ in kill_repeatedly(KILLED, path, 12):
        held = relay.keys()
        assert held == {f"10.0.{n >> 8}.{n & 255}" for n in range(300)}
        assert set(names(path)) == held
        for name in held:
            generation = int((path / name).stat().st_mtime)
            assert (path / name).read_text() == f"user{generation}" * 50


def test_the_config_names_the_directory_and_the_form(
    path: Path, section: Callable[..., Section], refused: Refusals, entry: Make
) -> None:
    assert SpoolMap.from_section(section(path=str(path))).name == f"spool {path}"
    relay = SpoolMap.from_section(section(path=str(path), format="relay-ctrl"))
    relay.change([entry("192.0.2.7", "ann")], [])
    relay.close()
    assert (path / "192.0.2.7").read_bytes() == b"USER=ann\0"
    bad = section(path=str(path), format="exim")
    SpoolMap.from_section(bad)
    assert [key for key, _, _ in refused(bad)] == ["format"]
