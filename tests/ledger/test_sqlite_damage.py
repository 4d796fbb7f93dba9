"""A damaged file is set aside and reported, an empty one is begun, and never is more allowed than was committed."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from poprelay.errors import StoreDamaged
from poprelay.ledger.damage import check_whole, set_aside
from poprelay.ledger.history import History
from poprelay.ledger.record import Cell, Record
from poprelay.ledger.sqlite import SqliteStore, open_or_set_aside, read_snapshot
from poprelay.model import Address, Grant, Opened

NOW = 1_750_000_000.0
ASIDE = "ledger.db.damaged-20250615T150640Z"
NOW_BYTES = struct.pack(">d", NOW)
GRANTS = [
    Cell(Grant(Address(f"192.0.2.{number}"), f"user{number}", "login", NOW, NOW + 1800, NOW, NOW, 1800.0, "dovecot"))
    for number in range(200)
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a ledger of 200 grants that was closed."""
    directory = tmp_path_factory.mktemp("sound")
    with closing(SqliteStore(directory / "ledger.db")) as store:
        store.commit(
            [Record(grants=GRANTS, history=[Opened(NOW, cell.grant) for cell in GRANTS], positions={"a": b"1"})]
        )
    return directory


@pytest.fixture
def path(tmp_path: Path, sound: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "private")) / "ledger.db"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as a killed daemon leaves it: twenty commits are in the log, the last revokes all but one."""
    directory = tmp_path_factory.mktemp("crashed")
    with closing(SqliteStore(directory / "ledger.db")) as store:
        for start in range(0, 190, 10):
            store.commit([Record(grants=GRANTS[start : start + 10])])
        store.commit([Record(gone=[cell.grant for cell in GRANTS[1:]])])
        return Path(shutil.copytree(directory, directory.with_name("killed")))


@pytest.fixture
def killed(tmp_path: Path, crashed: Path) -> Path:
    return Path(shutil.copytree(crashed, tmp_path / "private")) / "ledger.db"


def flip(file: Path, offset: int, bit: int = 0) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        (value,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([value ^ 1 << bit]))


def expect_set_aside(path: Path) -> SqliteStore:
    store, aside = open_or_set_aside(path, NOW)
    assert aside == path.parent / ASIDE
    snapshot = store.load()
    assert (snapshot.grants, snapshot.positions) == ([], {})
    assert store.lost_at == NOW
    return store


def not_a_database(path: Path) -> None:
    path.write_bytes(b"This is a text.\n" * 1000)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def deleted(path: Path) -> None:
    path.unlink()


def zeroed_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2048:4096] = bytes(2048)
    path.write_bytes(content)


def zeroed_header(path: Path) -> None:
    flip(path, 0, 3)


def older_copy(path: Path) -> None:
    """As if restored from a backup: the revocations since then would be lost."""
    backup = path.read_bytes()
    with closing(SqliteStore(path)) as store:
        store.commit([Record(gone=[cell.grant for cell in GRANTS])])
    path.write_bytes(backup)


@pytest.mark.parametrize(
    "harm", [not_a_database, cut_in_half, cut_to_nothing, deleted, zeroed_page, zeroed_header, older_copy]
)
def test_a_damaged_ledger_is_set_aside_and_an_empty_one_begun(path: Path, harm: Callable[[Path], None]) -> None:
    harm(path)
    with pytest.raises(StoreDamaged) as caught:
        SqliteStore(path)
    assert not caught.value.retry
    with closing(expect_set_aside(path)) as store:
        store.commit([Record(grants=GRANTS[:1])])
    store, aside = open_or_set_aside(path, NOW + 60)
    with closing(store):
        assert aside is None
        assert store.load().grants == GRANTS[:1]
        assert store.lost_at == NOW, "a source that is new here begins at its end, after a further restart too"


def test_a_sound_ledger_stays(path: Path) -> None:
    store, aside = open_or_set_aside(path, NOW)
    with closing(store):
        assert aside is None
        assert len(store.load().grants) == len(GRANTS)
        assert store.lost_at is None


def test_an_empty_file_is_a_new_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    store, aside = open_or_set_aside(path, NOW)
    with closing(store):
        assert aside is None
        assert store.lost_at is None


def test_a_ledger_that_was_deleted_with_all_that_is_beside_it_is_new(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    store, aside = open_or_set_aside(path, NOW)
    with closing(store):
        assert (aside, store.lost_at) == (None, None)


def test_a_crash_just_after_setting_aside_does_not_forget_that_revocations_are_lost(path: Path) -> None:
    set_aside(path, NOW)
    with closing(SqliteStore(path)) as store:
        assert store.lost_at == NOW


def test_setting_aside_keeps_file_log_and_witness_together(killed: Path) -> None:
    flip(killed.parent / "ledger.db-wal", 100)
    expect_set_aside(killed).close()
    names = {file.name for file in killed.parent.iterdir()}
    assert {ASIDE, f"{ASIDE}-wal", f"{ASIDE}-seq", "ledger.db"} <= names


def test_setting_aside_twice_within_a_second_keeps_both(path: Path) -> None:
    not_a_database(path)
    expect_set_aside(path).close()
    not_a_database(path)
    store, aside = open_or_set_aside(path, NOW)
    store.close()
    assert aside == path.parent / f"{ASIDE}.2"
    assert (path.parent / ASIDE).read_bytes() == aside.read_bytes()


def test_a_flipped_bit_never_makes_a_grant_that_was_not_there(path: Path) -> None:
    sound = path.read_bytes()
    chance = random.Random(2)
    noticed = 0
    for _ in range(150):
        for file in path.parent.iterdir():
            file.unlink()
        path.write_bytes(sound)
        flip(path, chance.randrange(len(sound)), chance.randrange(8))
        try:
            with closing(SqliteStore(path)) as store:
                assert set(store.load().grants) <= set(GRANTS)
        except StoreDamaged:
            noticed += 1
    assert noticed > 30, "a good part of the file is rows that matter"


def test_a_flipped_bit_in_an_address_is_noticed_though_sqlite_finds_the_file_good(path: Path) -> None:
    flip(path, path.read_bytes().index(b"192.0.2.199user199") + 10, 1)
    with closing(sqlite3.connect(path)) as look:
        assert look.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with pytest.raises(StoreDamaged):
        read_snapshot(path)
    expect_set_aside(path).close()


def test_a_missing_log_does_not_bring_back_what_was_revoked(killed: Path) -> None:
    (killed.parent / "ledger.db-wal").unlink()
    with pytest.raises(StoreDamaged):
        read_snapshot(killed)
    expect_set_aside(killed).close()


@pytest.mark.parametrize("part", [0.001, 0.3, 0.9, 0.9999])
def test_a_damaged_log_does_not_bring_back_what_was_revoked(killed: Path, part: float) -> None:
    log = killed.parent / "ledger.db-wal"
    flip(log, int(log.stat().st_size * part))
    with pytest.raises(StoreDamaged):
        read_snapshot(killed)
    expect_set_aside(killed).close()


def test_a_log_that_was_cut_does_not_bring_back_what_was_revoked(killed: Path) -> None:
    log = killed.parent / "ledger.db-wal"
    log.write_bytes(log.read_bytes()[:-100])
    expect_set_aside(killed).close()


def test_an_empty_file_beside_its_log_is_damage(killed: Path) -> None:
    cut_to_nothing(killed)
    expect_set_aside(killed).close()


def test_a_killed_ledger_is_sound(killed: Path) -> None:
    assert read_snapshot(killed).grants == GRANTS[:1]
    store, aside = open_or_set_aside(killed, NOW)
    with closing(store):
        assert aside is None
        assert store.load().grants == GRANTS[:1]


def test_a_lost_witness_is_no_damage(killed: Path) -> None:
    (killed.parent / "ledger.db-seq").unlink()
    with closing(SqliteStore(killed)) as store:
        assert store.load().grants == GRANTS[:1]


@pytest.mark.parametrize("content", [b"", b"\0" * 51, b"9 9 9\n", b"x"])
def test_a_witness_that_cannot_be_read_says_nothing(killed: Path, content: bytes) -> None:
    (killed.parent / "ledger.db-seq").write_bytes(content)
    with closing(SqliteStore(killed)) as store:
        assert store.load().grants == GRANTS[:1]


def test_the_whole_file_is_checked_beside_the_writer(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        check_whole(path)
        store.commit([Record(gone=[cell.grant for cell in GRANTS])])


def test_damage_that_only_the_whole_check_finds_leads_to_setting_aside_at_the_next_start(path: Path) -> None:
    with closing(sqlite3.connect(path)) as look:
        (page,) = look.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'history_at'").fetchone()
    flip(path, path.read_bytes().index(NOW_BYTES, (page - 1) * 2048))
    with closing(SqliteStore(path)) as store:
        with pytest.raises(StoreDamaged, match="damaged"):
            check_whole(path)
        store.condemn()
        store.commit([Record(positions={"a": b"2"})])
    with pytest.raises(StoreDamaged, match=r"the next start sets it aside .* needs its own ledger\.db-seq beside it"):
        SqliteStore(path)
    expect_set_aside(path).close()


def test_damage_that_a_commit_meets_leads_to_setting_aside_at_the_next_start(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        (root,) = store._connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'history'").fetchone()
        store._connection.execute("PRAGMA cache_size = 0")
        store._connection.execute("PRAGMA shrink_memory")
        flip(path, (root - 1) * 2048, 4)
        with pytest.raises(StoreDamaged):
            store.commit([Record(history=[Opened(NOW, cell.grant) for cell in GRANTS])])
    flip(path, (root - 1) * 2048, 4)
    expect_set_aside(path).close()


def test_damage_in_the_history_is_found_at_the_start(path: Path) -> None:
    with closing(sqlite3.connect(path)) as look:
        (page,) = look.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'history'").fetchone()
    flip(path, (page - 1) * 2048, 4)
    with History(path) as history, pytest.raises(StoreDamaged):
        list(history.find())
    expect_set_aside(path).close()


def test_a_refusal_that_cannot_be_read_leads_to_setting_aside(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE history SET change = 'refused', user = 7 WHERE id = 9")
        other.commit()
    with History(path) as history, pytest.raises(StoreDamaged):
        list(history.find())
    expect_set_aside(path).close()
