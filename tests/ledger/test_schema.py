"""Whose file it is, and how older tables become today's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger import schema
from poprelay.ledger.damage import seal
from poprelay.ledger.record import Record, Snapshot
from poprelay.ledger.sqlite import SqliteStore, open_or_set_aside, read_snapshot

NOW = 1_750_000_000.0
RECORD = Record(positions={"mail.log": b"17"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def loaded(path: Path) -> dict[str, bytes]:
    with closing(SqliteStore(path)) as store:
        return store.load().positions


def test_a_newer_version_is_refused_and_stays_where_it_is(path: Path) -> None:
    loaded(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 99")
        schema.write_meta(other, version=99)
    with pytest.raises(StoreError, match="newer poprelay") as caught:
        open_or_set_aside(path, NOW)
    assert not isinstance(caught.value, StoreDamaged)
    with pytest.raises(StoreError, match="newer poprelay"):
        read_snapshot(path)


def test_a_database_of_another_program_is_refused_and_stays_where_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mail (id)")
    with pytest.raises(StoreError, match="another program"):
        open_or_set_aside(path, NOW)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM mail").fetchone() == (0,)


def test_an_older_version_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit([RECORD])
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, ("CREATE TABLE further (id)",)])
    with pytest.raises(StoreError, match="older"):
        read_snapshot(path)
    with closing(SqliteStore(path)) as store:
        assert store.load().positions == RECORD.positions
        assert store._connection.execute("SELECT count(*) FROM further").fetchone() == (0,)
    assert read_snapshot(path).positions == RECORD.positions


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
def test_a_file_of_each_older_version_is_taken_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as made, monkeypatch.context() as then:
        then.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:version])
        schema.migrate(made, None)
    with closing(SqliteStore(path)) as store:
        assert store.load() == Snapshot()
        store.commit([RECORD])
    assert loaded(path) == RECORD.positions


def with_two_grants(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the second version, where sessions had a table of their own; one of its two rows is damaged."""
    rows = [(f"192.0.2.{n}", b"ann", "login", NOW, NOW + 9, NOW, NOW, 9, b"uw", b"", 0, 1, n) for n in (1, 2)]
    with closing(sqlite3.connect(path, isolation_level=None)) as made, monkeypatch.context() as then:
        then.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        schema.migrate(made, None)
        for row, wrong in zip(rows, (0, 1), strict=True):
            made.execute(f"INSERT INTO grants VALUES ({', '.join('?' * 14)})", (*row, seal(row) + wrong))


def test_grants_of_an_older_version_stay_and_what_was_damaged_stays_known_as_such(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_two_grants(path, monkeypatch)
    with pytest.raises(StoreDamaged, match="grants is damaged"):
        SqliteStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM grants WHERE seq = 2")
    with closing(SqliteStore(path)) as store:
        assert [(cell.grant.address, cell.sessions) for cell in store.load().grants] == [("192.0.2.1", ())]


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit([RECORD])
    with monkeypatch.context() as later:
        later.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, ("CREATE TABLE further (id)", "no statement")])
        with pytest.raises(sqlite3.OperationalError):
            open_or_set_aside(path, NOW)
    assert loaded(path) == RECORD.positions
