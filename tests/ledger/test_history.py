"""The history keeps opened, closed, refused; newest first; and forgets by age and by number."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from poprelay.errors import StoreError
from poprelay.ledger import state
from poprelay.ledger.history import _REFUSED, History, Past, refusals
from poprelay.ledger.record import Cell, Record, Refusal
from poprelay.ledger.sqlite import SqliteStore
from poprelay.model import Address, Closed, Grant, Opened

NOW = 1_750_000_000.0
ANN = Grant(Address("192.0.2.7"), "ann", "login", NOW, NOW + 1800, NOW, NOW, 1800.0, "dovecot")
BOB = msgspec.structs.replace(ANN, user="bob", address=Address("2001:db8::7"), basis="allow", reason="printer")
EVE = Refusal(Address("192.0.2.9"), "eve", "require_tls", "dovecot", NOW + 10, NOW + 10, 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        yield store


@pytest.fixture
def history(store: SqliteStore) -> Iterator[History]:
    with History(store.path) as history:
        yield history


def told(history: History, **asked: Any) -> list[tuple[str, str]]:
    return [(past.change, past.user) for past in history.find(**asked)]


@pytest.fixture
def filled(store: SqliteStore) -> SqliteStore:
    store.commit([Record(history=[Opened(NOW, ANN), Opened(NOW + 1, BOB)])])
    store.commit([Record(refusals=[EVE])])
    store.commit([Record(history=[Closed(NOW + 20, ANN, "revoked"), Opened(NOW + 20, ANN)])])
    return store


@pytest.mark.usefixtures("filled")
def test_every_change_is_told_newest_first(history: History) -> None:
    assert told(history) == [
        ("opened", "ann"),
        ("closed", "ann"),
        ("refused", "eve"),
        ("opened", "bob"),
        ("opened", "ann"),
    ]


@pytest.mark.usefixtures("filled")
def test_it_is_asked_by_user_address_time_and_number(history: History) -> None:
    assert told(history, user="bob") == [("opened", "bob")]
    assert told(history, address=ANN.address, limit=2) == [("opened", "ann"), ("closed", "ann")]
    assert told(history, since=NOW + 10) == [("opened", "ann"), ("closed", "ann"), ("refused", "eve")]
    assert told(history, user="ann", address=BOB.address) == []
    assert told(history, user="a%") == []
    assert told(history, limit=0) == []


@pytest.mark.usefixtures("filled")
def test_a_row_says_all_that_is_kept(history: History) -> None:
    closed, refused, allowed = list(history.find())[1:4]
    assert closed == Past(
        4, NOW + 20, "closed", ANN.address, "ann", "login", NOW, NOW + 1800, "dovecot", "revoked", None, 1
    )
    assert refused == Past(
        3, NOW + 10, "refused", EVE.address, "eve", "login", None, None, "dovecot", "require_tls", NOW + 10, 1
    )
    assert (allowed.basis, allowed.reason) == ("allow", "printer")


@pytest.mark.usefixtures("filled")
def test_rows_have_the_stable_keys_and_rfc_3339_times(history: History) -> None:
    keys = {"address", "user", "basis", "opened", "until", "agent", "sessions", "reason", "at", "change"}
    rows = [past.row() for past in history.find()]
    assert all(keys <= row.keys() for row in rows)
    assert json.loads(json.dumps(rows[1])) == {
        "at": "2025-06-15T15:07:00.000Z", "change": "closed", "address": "192.0.2.7", "user": "ann", "basis": "login",
        "opened": "2025-06-15T15:06:40.000Z", "until": "2025-06-15T15:07:00.000Z", "agent": "dovecot",
        "sessions": None, "reason": "revoked", "count": 1,
    }  # fmt: skip


def test_refusals_of_one_address_user_and_reason_within_a_period_share_one_row(
    store: SqliteStore, history: History
) -> None:
    store.commit([Record(refusals=[EVE])])
    store.commit([Record(history=[Opened(NOW + 11, ANN)])])
    store.commit([Record(refusals=[msgspec.structs.replace(EVE, last_at=NOW + 12, count=2)])])
    store.commit([Record(refusals=[msgspec.structs.replace(EVE, reason="deny")])])
    store.commit([Record(refusals=[msgspec.structs.replace(EVE, first_at=NOW + 3000, last_at=NOW + 3000)])])
    assert [(past.at, past.reason, past.first_at, past.count) for past in history.find(user="eve")] == [
        (NOW + 3000, "require_tls", NOW + 3000, 1),
        (NOW + 12, "require_tls", NOW + 10, 2),
        (NOW + 10, "deny", NOW + 10, 1),
    ]


def test_a_refusal_that_is_written_twice_counts_once(store: SqliteStore, history: History) -> None:
    store.commit([Record(refusals=[EVE]), Record(refusals=[EVE])])
    assert [past.count for past in history.find()] == [1]


def test_of_a_flood_of_refusals_the_newest_are_loaded_and_the_index_of_times_finds_them(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "REMEMBERED", 3)
    flood = [msgspec.structs.replace(EVE, user=f"u{second % 7}", first_at=NOW + second, last_at=NOW + second)
             for second in range(10)]  # fmt: skip
    store.commit([Record(refusals=flood, history=[Opened(NOW + 10, ANN)])])
    with closing(sqlite3.connect(store.path)) as connection:
        assert refusals(connection, NOW) == flood[:-4:-1]
        assert refusals(connection, NOW + 9) == flood[9:]
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {_REFUSED}", (NOW, 3))]
    assert plan == ["SEARCH history USING INDEX history_at (at>?)"]


def test_renewals_leave_no_row(store: SqliteStore, history: History) -> None:
    store.commit([Record(grants=[Cell(ANN)])])
    store.commit([Record(grants=[Cell(msgspec.structs.replace(ANN, renewals=1))])])
    assert told(history) == []


def test_what_is_older_is_forgotten_in_small_steps(store: SqliteStore, history: History) -> None:
    store.commit([Record(history=[Opened(NOW + number, ANN) for number in range(25)])])
    steps = []
    while step := store.prune(NOW + 22, 1000, step=10):
        steps.append(step)
    assert steps == [10, 10, 2]
    assert [past.at for past in history.find()] == [NOW + 24, NOW + 23, NOW + 22]


def test_what_is_beyond_the_number_is_forgotten_oldest_first(store: SqliteStore, history: History) -> None:
    store.commit([Record(history=[Opened(NOW + number, ANN) for number in range(25)])])
    steps = []
    while step := store.prune(NOW - 1, 4, step=10):
        steps.append(step)
    assert steps == [10, 10, 1]
    assert [past.at for past in history.find()] == [NOW + 24, NOW + 23, NOW + 22, NOW + 21]


def test_rows_that_were_forgotten_for_their_age_are_not_counted(store: SqliteStore, history: History) -> None:
    store.commit([Record(history=[Opened(NOW - number, ANN) for number in range(20)])])
    assert store.prune(NOW - 4, 1000) == 15
    store.commit([Record(history=[Opened(NOW, ANN)])])
    assert store.prune(NOW - 10, 6) == 0
    assert len(told(history)) == 6


def test_an_empty_history_has_nothing_to_forget(store: SqliteStore, history: History) -> None:
    assert store.prune(NOW, 0) == 0
    assert told(history) == []


@pytest.mark.usefixtures("filled")
def test_it_may_be_read_while_more_is_written(store: SqliteStore, history: History) -> None:
    reading = history.find()
    assert next(reading).user == "ann"
    store.commit([Record(history=[Opened(NOW + 99, BOB)])])
    assert len(list(reading)) == 4
    assert told(history)[0] == ("opened", "bob")


@pytest.mark.parametrize("asked", [{}, {"user": "ann"}, {"address": ANN.address}, {"since": NOW + 1}])
def test_page_after_page_says_what_one_reading_says(
    store: SqliteStore, history: History, asked: dict[str, Any]
) -> None:
    store.commit([Record(history=[Opened(NOW + number // 7, grant) for number in range(30) for grant in (ANN, BOB)])])
    whole = list(history.find(**asked))
    pages: list[Past] = []
    while page := list(history.find(**asked, before=pages[-1] if pages else None, limit=4)):
        pages += page
    assert pages == whole


def test_it_may_be_read_with_no_daemon(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        store.commit([Record(history=[Opened(NOW, ANN)])])
    with History(tmp_path / "ledger.db") as history:
        assert told(history) == [("opened", "ann")]


def test_without_a_ledger_there_is_no_history(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger"):
        History(tmp_path / "ledger.db")
