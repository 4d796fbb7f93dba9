"""How rows are written: many to a statement, and each found by its key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from poprelay.ledger import schema
from poprelay.ledger.tables import GRANTS, MOST, SEALED, Table


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.migrate(connection, None)
        yield connection


@pytest.mark.parametrize("table", SEALED, ids=lambda table: str(table.name))
def test_no_statement_reads_a_whole_table_to_delete_some_rows(connection: sqlite3.Connection, table: Table) -> None:
    ran: list[str] = []
    connection.set_trace_callback(ran.append)
    table.drop(connection, [(b"key",) * table.key] * (MOST + 3))
    connection.set_trace_callback(None)
    for statement in ran:
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if step.startswith("SCAN")], plan
    assert len(ran) == 3


def test_a_row_stays_whose_column_is_above_the_number_behind_its_key(connection: sqlite3.Connection) -> None:
    rows = [(f"192.0.2.{number}", b"ann", "login", 0, until, 0, 0, 0, b"", b"", 0, b"", 0, 0) for number, until in
            ((1, 10.0), (2, 20.0), (3, 30.0))]  # fmt: skip
    GRANTS.put(connection, rows)
    GRANTS.drop(connection, [(*row[:3], 20.0) for row in rows], "until")
    assert list(GRANTS.rows(connection)) == [rows[2]]
