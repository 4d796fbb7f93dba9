"""Bundled rows of grants: whatever is bundled, let go and unpacked, each grant is there as it was last put."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger import bundles, schema
from poprelay.ledger.bundles import FEW, LARGEST, Bundles, read
from poprelay.ledger.record import Cell, OpenSession, Record
from poprelay.ledger.sqlite import SqliteStore, read_snapshot
from poprelay.ledger.tables import BUNDLES, GRANTS
from poprelay.model import Address, Grant, SessionKey

NODE = 77


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.migrate(connection, None)
        yield connection


@pytest.fixture
def rows(connection: sqlite3.Connection) -> Bundles:
    return Bundles(connection, NODE, count(1).__next__, ())


def renewed(
    many: int = FEW, until: float = 10.0, *, user: str = "ann", first: int = 0, renewals: int = 1
) -> list[Cell]:
    """So many grants, each at its address."""
    return [
        Cell(Grant(Address(f"10.0.{n >> 8}.{n & 255}"), user, "login", 1.0, until, 1.0, 1.0, 9.0, "uw", "", renewals))
        for n in range(first, first + many)
    ]


def bundled(connection: sqlite3.Connection) -> list[int]:
    """How many entries each bundle has."""
    return [bundle.size for bundle in read(connection)[1]]


def placed(connection: sqlite3.Connection) -> int:
    return len(list(GRANTS.rows(connection)))


def there(connection: sqlite3.Connection) -> set[Cell]:
    return set(read(connection)[0])


def test_many_renewals_are_one_row(connection: sqlite3.Connection, rows: Bundles) -> None:
    session = OpenSession(SessionKey("log", "mx", "imap", "\udcff"), Address("10.0.0.0"), "\udce9\x00", "uw", 1.0)
    cells = [*renewed(), Cell(renewed(user="\udce9\x00")[0].grant, (session,))]
    rows.put(cells)
    assert (bundled(connection), placed(connection)) == ([FEW + 1], 0)
    assert there(connection) == set(cells)


@pytest.mark.parametrize(
    "cells",
    [renewed(FEW - 1), renewed() + renewed(FEW + 1, user="bob", renewals=0), renewed(LARGEST + 1)],
    ids=["few renewals", "mostly new", "a whole log"],
)
def test_other_records_get_their_places(connection: sqlite3.Connection, rows: Bundles, cells: list[Cell]) -> None:
    rows.put(cells)
    assert (bundled(connection), placed(connection)) == ([], len(cells))
    assert there(connection) == set(cells)


def test_the_last_bundle_counts(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(until=10.0))
    rows.put(renewed(until=20.0))
    assert there(connection) == set(renewed(until=20.0))


def test_what_gets_its_place_counts_more_than_earlier_bundles(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(until=10.0))
    rows.put(renewed(1, until=5.0))
    assert there(connection) == {*renewed(1, until=5.0), *renewed(FEW - 1, until=10.0, first=1)}
    assert (bundled(connection), placed(connection)) == ([FEW, 1], 1)


def test_a_place_counts_less_than_later_bundles(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(1, until=10.0, renewals=0))
    rows.put(renewed(until=5.0))
    assert there(connection) == set(renewed(until=5.0))


def test_what_is_dropped_is_gone_from_place_and_bundles(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(until=30.0, renewals=0))
    rows.put(renewed(until=10.0))
    rows.put(renewed(until=20.0))
    rows.drop([cell.grant for cell in renewed(2, until=20.0)])
    assert there(connection) == set(renewed(FEW - 2, until=20.0, first=2))
    rows.put(renewed(1, until=40.0))
    assert there(connection) == {*renewed(1, until=40.0), *renewed(FEW - 2, until=20.0, first=2)}


def test_what_is_dropped_stays_if_it_was_renewed_in_a_bundle(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(until=10.0, renewals=0))
    rows.put(renewed(until=20.0))
    rows.drop([cell.grant for cell in renewed(until=19.0)])
    assert there(connection) == set(renewed(until=20.0))


def test_the_oldest_is_unpacked_when_all_are_too_much(
    connection: sqlite3.Connection, rows: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "MOST", 3 * FEW)
    for turn in range(3):
        rows.put(renewed(until=10.0 + turn, first=turn))
    assert (bundled(connection), placed(connection)) == ([FEW] * 3, 0)
    rows.put(renewed(until=20.0, first=3))
    assert (bundled(connection), placed(connection)) == ([FEW] * 3, 1), "only the first of the first was in no other"
    last = [*renewed(1, until=10.0), *renewed(1, until=11.0, first=1), *renewed(1, until=12.0, first=2)]
    assert there(connection) == {*last, *renewed(until=20.0, first=3)}


def test_those_that_were_there_for_a_while_are_unpacked(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(until=10.0))
    assert not rows.unpack_old()
    rows.put(renewed(until=20.0, first=9))
    assert rows.unpack_old()
    assert not rows.unpack_old()
    assert (bundled(connection), placed(connection)) == ([FEW], 9)
    assert rows.unpack_old()
    assert not rows.unpack_old()
    assert not rows.unpack_old()
    assert (bundled(connection), placed(connection)) == ([], 9 + FEW)
    assert there(connection) == {*renewed(9, until=10.0), *renewed(until=20.0, first=9)}


def test_letting_go_outlives_the_bundle_that_it_is_about(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(until=10.0))
    rows.unpack_old()
    rows.drop([cell.grant for cell in renewed(2, until=10.0)])
    assert rows.unpack_old()
    assert bundled(connection) == [2]
    anew = Bundles(connection, NODE, count(100).__next__, read(connection)[1])
    anew.put(renewed(until=20.0))
    anew.drop([cell.grant for cell in renewed(1, until=20.0)])
    assert there(connection) == set(renewed(FEW - 1, until=20.0, first=1))


def test_a_transaction_that_failed_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST", 2 * FEW)
    broken = Record(positions={"a": object()})  # type: ignore[dict-item]  # no position is like that
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        store.commit([Record(grants=renewed(until=10.0)), Record(grants=renewed(until=11.0, first=1))])
        for _ in range(2):
            with pytest.raises(TypeError):
                store.commit([Record(gone=[renewed(1)[0].grant], grants=renewed(until=20.0, first=2)), broken])
            assert set(store.load().grants) == {*renewed(1, until=10.0), *renewed(until=11.0, first=1)}
        store.commit([Record(grants=renewed(until=20.0, first=2))])
        store.commit([Record(gone=[renewed(1, until=10.0)[0].grant])])
        assert set(store.load().grants) == {*renewed(1, until=11.0, first=1), *renewed(until=20.0, first=2)}


def test_a_bundle_is_read_beside_the_writer_and_after_a_crash(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        store.commit([Record(grants=renewed(until=10.0))])
        assert set(read_snapshot(store.path).grants) == set(renewed(until=10.0))
        left = shutil.copytree(tmp_path, tmp_path / "left") / "ledger.db"
    with closing(SqliteStore(left)) as store:
        assert set(store.load().grants) == set(renewed(until=10.0))
        store.commit([Record(gone=[cell.grant for cell in renewed(2, until=10.0)])])
        assert set(read_snapshot(left).grants) == set(renewed(FEW - 2, until=10.0, first=2))
    assert set(read_snapshot(left).grants) == set(renewed(FEW - 2, until=10.0, first=2))


def test_what_is_closed_has_every_grant_in_its_place_and_nothing_of_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(SqliteStore(path)) as store:
        store.commit([Record(grants=renewed(user="gone"))])
        store.commit([Record(grants=renewed(until=20.0))])
        store.commit([Record(gone=[cell.grant for cell in renewed(user="gone")])])
        assert b"gone" in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    with closing(sqlite3.connect(path)) as connection:
        assert (bundled(connection), placed(connection)) == ([], FEW)
        assert there(connection) == set(renewed(until=20.0))
    assert b"gone" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_a_ledger_that_cannot_be_written_any_more_is_still_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with closing(SqliteStore(path)) as store:
        store.commit([Record(grants=renewed())])
        full = StoreError("the disk is full")
        monkeypatch.setattr(Bundles, "unpack", lambda rows: (_ for _ in ()).throw(full))
    with closing(SqliteStore(path)) as store:
        assert not store.unchecked
        assert set(store.load().grants) == set(renewed())
        monkeypatch.undo()


def test_a_damaged_bundle_is_noticed(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed())
    ((number, node, packed),) = BUNDLES.rows(connection)
    wrong = packed.replace(b"10.0.0.7", b"10.0.0.6", 1)
    connection.execute("UPDATE bundles SET grants = ?", (wrong,))
    with pytest.raises(StoreDamaged, match="bundles is damaged"):
        read(connection)
    BUNDLES.put(connection, [(number, node, packed)])
    assert there(connection) == set(renewed())


@pytest.mark.parametrize("which", ["min", "max"])
def test_a_bundle_that_is_missing_is_noticed(tmp_path: Path, which: str) -> None:
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        store.commit([Record(grants=renewed())])
        store.commit([Record(gone=[cell.grant for cell in renewed()])])
        left = shutil.copytree(tmp_path, tmp_path / "left") / "ledger.db"
    with closing(sqlite3.connect(left)) as connection, connection:
        connection.execute(f"DELETE FROM bundles WHERE seq = (SELECT {which}(seq) FROM bundles)")
    with pytest.raises(StoreDamaged, match="missing"):
        SqliteStore(left)


@pytest.mark.parametrize(
    "entries", [{}, [[1]], [["10.0.0.1", b"ann"]], [["10.0.0.1", b"ann", "login", 1.0]], [[1] * 14]]
)
def test_a_bundle_that_makes_no_sense_is_damage(connection: sqlite3.Connection, entries: object) -> None:
    BUNDLES.put(connection, [(1, NODE, msgspec.msgpack.encode(entries))])
    with pytest.raises(StoreDamaged, match="no sense"):
        read(connection)


def test_a_grant_that_is_dropped_twice_at_once_is_gone(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed())
    rows.drop([renewed()[0].grant] * 2)
    assert there(connection) == set(renewed(FEW - 1, first=1))


def test_a_grant_of_a_bundle_has_node_and_number_once_it_is_in_its_place(
    connection: sqlite3.Connection, rows: Bundles
) -> None:
    rows.put(renewed())
    ((number, node, _),) = BUNDLES.rows(connection)
    rows.unpack_old()
    rows.unpack_old()
    assert {row[-2:] for row in GRANTS.rows(connection)} == {(node, number)} == {(NODE, number)}


def test_equal_names_of_what_is_read_are_one_object(connection: sqlite3.Connection, rows: Bundles) -> None:
    rows.put(renewed(user="somebody", renewals=0))
    rows.put(renewed(user="somebody", first=FEW))
    users = [cell.grant.user for cell in read(connection)[0]]
    assert (bundled(connection), placed(connection), len(users)) == ([FEW], FEW, 2 * FEW)
    assert all(user is users[0] for user in users)


def test_the_same_grant_twice_in_a_record_is_as_it_was_put_last(connection: sqlite3.Connection, rows: Bundles) -> None:
    last = Cell(replace(renewed(1)[0].grant, until=3.0))
    rows.put([*renewed(), last])
    rows.unpack_old()
    rows.unpack_old()
    assert there(connection) == {last, *renewed(FEW - 1, first=1)}
