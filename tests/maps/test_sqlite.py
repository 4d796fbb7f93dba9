"""The SQLite database that Postfix and OpenSMTPD ask."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry
from poprelay.maps.keys import foreign
from poprelay.maps.sqlite import SqliteMap
from poprelay.model import Address

Make = Callable[..., Entry]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[SqliteMap]:
    relay = SqliteMap(tmp_path / "relay.sqlite")
    yield relay
    relay.close()


def rows(path: Path) -> list[tuple[str, str]]:
    """What an MTA finds, which may only read."""
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0)
    try:
        return reader.execute("SELECT address, value FROM relay ORDER BY address").fetchall()
    finally:
        reader.close()


def elsewhere(path: Path, statement: str) -> None:
    """Change the file as another program does."""
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute(statement)
    writer.close()


def test_an_mta_finds_the_value_beside_each_address(relay: SqliteMap, entry: Make) -> None:
    relay.keys()
    assert rows(relay.path) == []
    relay.change([entry("192.0.2.7"), entry("2001:db8::7")], [])
    assert rows(relay.path) == [("192.0.2.7", "OK"), ("2001:db8::7", "OK")]
    assert relay.holds(Address("192.0.2.7"))
    assert not relay.holds(Address("192.0.2.8"))


def test_a_reader_is_never_turned_away_by_a_change_that_is_under_way(relay: SqliteMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    writer = sqlite3.connect(relay.path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("DELETE FROM relay")
    assert rows(relay.path) == [("192.0.2.7", "OK")]
    writer.execute("ROLLBACK")
    writer.close()


def test_the_log_and_its_index_stay_for_readers_that_may_not_make_them(relay: SqliteMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    relay.close()
    names = sorted(file.name for file in relay.path.parent.iterdir())
    assert names == ["relay.sqlite", "relay.sqlite-shm", "relay.sqlite-wal"]
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in relay.path.parent.iterdir())
    assert rows(relay.path) == [("192.0.2.7", "OK")]


def test_what_another_program_changes_is_noticed_and_compared_again(relay: SqliteMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    elsewhere(relay.path, "INSERT INTO relay VALUES ('127', 'OK'), (x'ff00', 'OK'), ('192.0.2.9', 'REJECT')")
    assert relay.disturbed()
    with pytest.raises(MapError, match="another program changed it"):
        relay.change([entry("192.0.2.8")], [])
    odd = {foreign(b"127"), foreign(b"\xff\0"), foreign(b"192.0.2.9")}
    assert relay.keys() == {"192.0.2.7", "192.0.2.8", *odd}
    relay.change([], odd)
    assert relay.keys() == {"192.0.2.7", "192.0.2.8"}
    assert not relay.disturbed()


def test_an_address_that_has_become_ours_meanwhile_is_not_removed_as_foreign(relay: SqliteMap, entry: Make) -> None:
    relay.keys()
    elsewhere(relay.path, "INSERT INTO relay VALUES ('192.0.2.9', 'REJECT')")
    found = relay.keys()
    relay.change([entry("192.0.2.9")], [])
    relay.change([], found)
    assert relay.keys() == {"192.0.2.9"}


def test_a_file_that_was_replaced_is_told_and_the_change_is_published(relay: SqliteMap, entry: Make) -> None:
    relay.change([entry("192.0.2.7")], [])
    relay.path.unlink()
    with pytest.raises(MapError, match="the file was replaced"):
        relay.change([entry("192.0.2.8")], [])
    assert relay.keys() == {"192.0.2.8"}


def test_what_is_no_database_is_told_with_the_remedy(relay: SqliteMap) -> None:
    relay.path.write_bytes(b"192.0.2.7 OK\n" * 100)
    with pytest.raises(MapError, match="file is not a database") as told:
        relay.keys()
    assert told.value.remedy == f"move {relay.path} away; a new one is made at once"


def test_another_programs_database_is_not_taken_for_ours(relay: SqliteMap) -> None:
    elsewhere(relay.path, "CREATE TABLE other (x)")
    with pytest.raises(MapError, match="no such table: relay") as told:
        relay.keys()
    assert "move" in told.value.remedy


def test_another_writer_is_waited_for_and_then_told(
    relay: SqliteMap, entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poprelay.maps.sqlite.LOCK_WAIT", 0.1)
    relay.keys()
    writer = sqlite3.connect(relay.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(MapError, match="database is locked"):
        relay.change([entry("192.0.2.7")], [])
    writer.execute("ROLLBACK")
    writer.close()
    relay.change([entry("192.0.2.7")], [])
    assert relay.keys() == {"192.0.2.7"}


def test_killed_at_any_moment_the_database_is_whole(
    tmp_path: Path, kill_repeatedly: Callable[[str, Path, int], Iterator[int]]
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from poprelay.maps import Entry; from poprelay.maps.sqlite import SqliteMap\n"
        "relay = SqliteMap(Path(sys.argv[1])); relay.keys()\n"
        "pair = [Entry('192.0.2.7', (), 0.0, 0.0), Entry('2001:db8::7', (), 0.0, 0.0)]\n"
        "relay.change(pair, []); print('published', flush=True)\n"
        "while True: relay.change([], ['192.0.2.7', '2001:db8::7']); relay.change(pair, [])\n"
    )
    path = tmp_path / "relay.sqlite"
    for _ in kill_repeatedly(program, path, 8):
        assert [address for address, _ in rows(path)] in ([], ["192.0.2.7", "2001:db8::7"])


def test_the_value_must_permit(
    section: Callable[..., Section], refused: Callable[[Section], list[tuple[str, str, str]]]
) -> None:
    bad = section(path="/relay.sqlite", value="0")
    SqliteMap.from_section(bad)
    assert [key for key, _, _ in refused(bad)] == ["value"]
