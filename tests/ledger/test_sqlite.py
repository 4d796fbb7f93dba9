"""One transaction holds grants, revocations, history and positions; what is committed is there again after opening."""

from __future__ import annotations

import math
import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from poprelay.errors import NotPermitted, StoreDamaged, StoreError
from poprelay.ledger import schema
from poprelay.ledger.ahead import Early
from poprelay.ledger.history import History
from poprelay.ledger.record import Cell, Joined, OpenSession, Record, Refusal, Snapshot
from poprelay.ledger.sqlite import SqliteStore, read_snapshot
from poprelay.model import Address, Closed, Grant, Instant, Opened, Revocation, SessionKey

NOW = 1_750_000_000.0
GRANT = Grant(
    address=Address("192.0.2.7"), user="ann", basis="login", opened=NOW, until=NOW + 1800, last_login=NOW, seen=NOW + 3,
    span=1800, agent="dovecot", reason="", renewals=2,
)  # fmt: skip
KEY = SessionKey("mail.log", "mx", "imap", "kX1")
FULL = Record(
    grants=[
        Cell(GRANT, (OpenSession(KEY, GRANT.address, "ann", "dovecot", NOW),)),
        Cell(msgspec.structs.replace(GRANT, basis="standing", until=math.inf, reason="the printer")),
    ],
    joined=[Joined("mail.log", "dovecot", "mx", "imap")],
    revocations=[
        Revocation("r1", NOW, "root", GRANT.address, None, "spam", NOW + 604800),
        Revocation("r2", NOW, "root", None, "bob", "left"),
    ],
    history=[Opened(NOW, GRANT)],
    refusals=[Refusal(Address("192.0.2.9"), "eve", "special", "dovecot", NOW, NOW + 5, 3)],
    crowds={Address("192.0.2.200"): b"\x00crowd"},
    ahead={b"\x00login": Early(NOW, NOW + 1900)},
    positions={"mail.log": b"\x00\xff17"},
)


def loaded(path: Path) -> Snapshot:
    with closing(SqliteStore(path)) as store:
        return store.load()


def everything(snapshot: Snapshot) -> dict[str, object]:
    """A snapshot without the order of its lists."""
    parts = msgspec.structs.asdict(snapshot)
    return {name: sorted(map(repr, part)) if isinstance(part, list) else part for name, part in parts.items()}


def expected(**parts: object) -> dict[str, object]:
    return everything(Snapshot(**parts))  # type: ignore[arg-type]  # the fields of a Snapshot


ALL = expected(
    grants=FULL.grants, joined=FULL.joined, revocations=FULL.revocations,
    refusals=FULL.refusals, crowds=FULL.crowds, ahead=FULL.ahead, positions=FULL.positions,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir(mode=0o700)
    return tmp_path / "private" / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path)) as store:
        yield store


def killed(path: Path, record: Record) -> Path:
    """A ledger as it lies there when its daemon is killed after it has committed the record."""
    with closing(SqliteStore(path)) as store:
        store.commit([record])
        return Path(shutil.copytree(path.parent, path.parent.with_name("killed"))) / path.name


@contextmanager
def disk_full(store: SqliteStore) -> Iterator[None]:
    """No more bytes for any file of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_new_ledger_is_empty(store: SqliteStore) -> None:
    assert everything(store.load()) == expected()
    assert not store.unchecked
    assert store.lost_at is None


def test_all_of_a_record_is_there_again_after_closing_and_opening(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit([FULL])
        assert everything(store.load()) == ALL
    assert everything(loaded(path)) == ALL
    assert everything(read_snapshot(path, refused_since=0)) == ALL


def test_all_of_a_record_is_there_again_without_closing(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit([FULL])
        assert everything(read_snapshot(path, refused_since=0)) == ALL


def test_the_store_keeps_bytes_that_are_no_utf_8(path: Path) -> None:
    odd = b"\xff\x00\xc3(\n".decode("utf-8", "surrogateescape")
    grant = msgspec.structs.replace(GRANT, user=odd, agent=odd, reason=odd)
    cell = Cell(grant, (OpenSession(SessionKey(odd, odd, odd, odd), GRANT.address, odd, odd, NOW),))
    with closing(SqliteStore(path)) as store:
        store.commit([Record(grants=[cell], positions={odd: b""}, history=[Opened(NOW, grant)])])
    assert everything(loaded(path)) == expected(grants=[cell], positions={odd: b""})
    with History(path) as history:
        assert [past.user for past in history.find(user=odd)] == [odd]


def test_a_grant_that_is_put_again_replaces_the_one_of_the_same_address_user_and_basis(store: SqliteStore) -> None:
    later = Cell(msgspec.structs.replace(GRANT, until=NOW + 3600, renewals=3))
    store.commit([Record(grants=[Cell(GRANT)])])
    store.commit([Record(grants=[later])])
    assert store.load().grants == [later]


def test_a_closed_grant_that_was_renewed_meanwhile_is_not_lost(store: SqliteStore) -> None:
    later = Cell(msgspec.structs.replace(GRANT, until=GRANT.until + 1))
    store.commit([Record(grants=[later])])
    store.commit([Record(gone=[GRANT])])
    assert store.load().grants == [later]


def test_a_closed_grant_is_gone(store: SqliteStore) -> None:
    store.commit([FULL])
    store.commit([Record(gone=[GRANT])])
    assert store.load().grants == [FULL.grants[1]]
    store.commit([Record(gone=[FULL.grants[1].grant])])
    assert store.load().grants == []


def test_what_is_both_gone_and_put_in_one_record_stays(store: SqliteStore) -> None:
    store.commit([FULL])
    store.commit([Record(gone=[GRANT], grants=FULL.grants)])
    assert everything(store.load()) == ALL


def test_a_grant_that_is_put_again_has_the_sessions_that_it_has_now(store: SqliteStore) -> None:
    store.commit([FULL])
    others = [
        OpenSession(SessionKey(source, "mx", "imap", session), GRANT.address, "ann", "dovecot", NOW)
        for source, session in (("mail.log", "kX2"), ("mail.log", "kX3"), ("other.log", "kX2"), ("mail.log", "kX4"))
    ]
    store.commit([Record(grants=[Cell(GRANT, tuple(others))])])
    assert store.load().grants == [Cell(GRANT, tuple(others)), FULL.grants[1]]
    store.commit([Record(grants=[Cell(GRANT)])])
    assert store.load().grants == [Cell(GRANT), FULL.grants[1]]


def test_crowds_early_logins_and_revocations_that_end_are_deleted(store: SqliteStore) -> None:
    store.commit([FULL])
    store.commit(
        [
            Record(
                revocations_gone=["r1"],
                crowds={Address("192.0.2.200"): b""},
                ahead={b"\x00login": None},
            )
        ]
    )
    snapshot = store.load()
    assert (snapshot.crowds, snapshot.ahead) == ({}, {})
    assert [order.id for order in snapshot.revocations] == ["r2"]


def test_records_of_one_commit_are_written_in_their_order(store: SqliteStore) -> None:
    later = msgspec.structs.replace(GRANT, until=NOW + 3600)
    last = Record(grants=[Cell(GRANT)], positions={"a": b"1"})
    store.commit([Record(grants=[Cell(later)]), Record(gone=[later]), last])
    assert store.load().grants == [Cell(GRANT)]


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1000])
def test_any_number_of_rows_is_written_and_deleted(store: SqliteStore, count: int) -> None:
    grants = [msgspec.structs.replace(GRANT, user=f"u{number}") for number in range(count)]
    store.commit([Record(grants=list(map(Cell, grants)))])
    assert {cell.grant.user for cell in store.load().grants} == {grant.user for grant in grants}
    store.commit([Record(gone=grants[1:])])
    assert store.load().grants == [Cell(grants[0])]


def test_whole_numbers_for_times_do_no_harm(path: Path) -> None:
    grant = msgspec.structs.replace(GRANT, opened=1000, until=2000, last_login=1000, seen=1000, span=1000)
    with closing(SqliteStore(path)) as store:
        store.commit([Record(grants=[Cell(grant)])])
    assert loaded(path).grants == [Cell(grant)]


@pytest.mark.parametrize(("since", "wanted"), [(NOW + 5, FULL.refusals), (NOW + 6, [])])
def test_refusals_that_are_old_need_not_be_loaded(path: Path, since: Instant, wanted: list[Refusal]) -> None:
    with closing(SqliteStore(path, since)) as store:
        store.commit([FULL])
        assert store.load().refusals == wanted
    with closing(SqliteStore(path, since)) as store:
        assert store.load().refusals == wanted


def test_every_row_carries_node_and_a_number_that_never_goes_back(path: Path) -> None:
    seen: list[int] = []
    nodes: set[int] = set()
    for _ in range(3):
        with closing(SqliteStore(path)) as store:
            store.commit([FULL])
            store.commit([Record(gone=[cell.grant for cell in FULL.grants])])
            store.commit([FULL])
        with closing(sqlite3.connect(path)) as look:
            for table in ("grants", "revocations", "history"):
                rows = look.execute(f"SELECT node, seq FROM {table} ORDER BY seq").fetchall()
                nodes |= {node for node, _ in rows}
            newest = [seq for (seq,) in look.execute("SELECT seq FROM grants ORDER BY seq")]
            assert not seen or newest[0] > seen[-1]
            seen += newest
            assert look.execute("SELECT count(*), count(DISTINCT seq) FROM history").fetchone() in {
                (3, 3),
                (5, 5),
                (7, 7),
            }
    assert len(nodes) == 1


def test_two_ledgers_are_different_nodes(tmp_path: Path) -> None:
    nodes = set()
    for name in ("a.db", "b.db"):
        with closing(SqliteStore(tmp_path / name)):
            pass
        with closing(sqlite3.connect(tmp_path / name)) as look:
            nodes.add(schema.read_meta(look)["node"])
    assert len(nodes) == 2


def test_the_files_are_for_the_daemons_user_alone(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit([FULL])
        files = list(path.parent.iterdir())
        assert {file.name for file in files} == {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-seq"}
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_it_is_durable_by_wal_and_full_sync(store: SqliteStore) -> None:
    connection = store._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_missing_directory_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must exist"):
        SqliteStore(tmp_path / "none" / "ledger.db")


def test_while_the_disk_is_full_nothing_is_written_and_afterwards_all_goes_on(path: Path) -> None:
    grants = [Cell(msgspec.structs.replace(GRANT, user=f"u{number}")) for number in range(5000)]
    with closing(SqliteStore(path)) as store:
        store.commit([FULL])
        with disk_full(store):
            for _ in range(2):
                with pytest.raises(StoreError) as caught:
                    store.commit([Record(grants=grants, positions={"mail.log": b"later"})])
                assert not isinstance(caught.value, StoreDamaged)
                assert caught.value.retry
        assert everything(store.load()) == ALL
        store.commit(
            [Record(gone=[cell.grant for cell in FULL.grants], grants=grants, positions={"mail.log": b"later"})]
        )
    snapshot = loaded(path)
    assert len(snapshot.grants) == 5000
    assert snapshot.positions == {"mail.log": b"later"}


def test_a_record_that_cannot_be_written_leaves_nothing_of_its_group_behind(store: SqliteStore) -> None:
    broken = Record(positions={"a": object()})  # type: ignore[dict-item]  # no position is like that
    with pytest.raises(TypeError):
        store.commit([FULL, broken])
    assert everything(store.load()) == expected()
    store.commit([FULL])
    assert everything(store.load()) == ALL


def test_a_file_at_its_largest_is_reported_with_the_next_step(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="free some space"):
            store.commit([Record(grants=[Cell(GRANT)]), Record(positions={"a": bytes(100_000)})])
        assert everything(store.load()) == expected()
        store._connection.execute("PRAGMA max_page_count = 1000000")
        store.commit([Record(positions={"a": b"1"})])
    assert loaded(path).positions == {"a": b"1"}


def test_another_program_that_writes_is_waited_for_then_reported(path: Path) -> None:
    with closing(SqliteStore(path)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        store._connection.execute("PRAGMA busy_timeout = 50")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program"):
            store.commit([FULL])
        other.execute("ROLLBACK")
        store.commit([FULL])
        assert everything(store.load()) == ALL


def test_a_ledger_that_was_not_closed_is_to_be_checked_as_a_whole_until_it_was(path: Path) -> None:
    path = killed(path, FULL)
    for _ in range(2):
        with closing(SqliteStore(path)) as store:
            assert store.unchecked
    with closing(SqliteStore(path)) as store:
        store.checked()
        assert not store.unchecked
    with closing(SqliteStore(path)) as store:
        assert not store.unchecked
    assert everything(loaded(path)) == ALL


def test_opening_and_closing_writes_nothing_so_that_it_works_on_a_full_disk(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.commit([FULL])
    before = path.read_bytes()
    with closing(SqliteStore(path)) as store:
        assert not store.unchecked
        assert (path.parent / "ledger.db-wal").stat().st_size == 0
    assert path.read_bytes() == before


def test_without_a_ledger_there_is_nothing_to_read(path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger"):
        read_snapshot(path)
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become another user")
def test_another_user_may_not_read_it(path: Path) -> None:
    loaded(path)
    uid = os.geteuid()
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermitted):
            read_snapshot(path)
    finally:
        os.seteuid(uid)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_what_root_makes_belongs_to_the_owner_of_the_directory(path: Path) -> None:
    os.chown(path.parent, 12345, 12345)
    with closing(SqliteStore(path)) as store:
        store.commit([FULL])
        assert {file.stat().st_uid for file in path.parent.iterdir()} == {12345}


def test_reading_beside_a_writer_leaves_the_log_where_it_is(path: Path) -> None:
    path = killed(path, FULL)
    assert everything(read_snapshot(path, refused_since=0)) == ALL
    assert (path.parent / "ledger.db-wal").stat().st_size > 0
    assert everything(loaded(path)) == ALL


def test_what_was_forgotten_is_overwritten_in_the_file(path: Path) -> None:
    closed = Closed(NOW, msgspec.structs.replace(GRANT, user="very-personal-name"), "expired")
    with closing(SqliteStore(path)) as store:
        store.commit([Record(grants=[Cell(closed.grant)], history=[closed])])
        store.commit([Record(gone=[closed.grant])])
        assert store.prune(NOW + 1, 100) == 1
    assert b"very-personal-name" not in path.read_bytes()
