"""The store against a model of ten lines: whatever is committed is there, after a crash as after closing, and whatever
is bundled meanwhile."""

from __future__ import annotations

import math
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from poprelay.ledger import bundles, tables
from poprelay.ledger.record import Cell, OpenSession, Record
from poprelay.ledger.sqlite import SqliteStore, open_or_set_aside, read_snapshot
from poprelay.model import Address, Basis, Grant, GrantKey, SessionKey

addresses = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]).map(Address)
users = st.sampled_from(["ann", "bob", "\udcff\x00"])
bases: st.SearchStrategy[Basis] = st.sampled_from(["login", "allow", "standing"])
times = st.floats(allow_nan=False)
ends = st.sampled_from([1.0, 2.0, 3.0, math.inf])  # few, so that what is gone often was there, and is no later
grants = st.builds(
    Grant, address=addresses, user=users, basis=bases, opened=times, until=ends, last_login=times, seen=times,
    span=times, agent=users, reason=users, renewals=st.integers(0, 2**62),
)  # fmt: skip
keys = st.builds(SessionKey, source=users, host=users, service=users, session=users)
sessions = st.tuples(keys, users, times)


def cell(grant: Grant, sessions: list[tuple[SessionKey, str, float]]) -> Cell:
    return Cell(grant, tuple(OpenSession(key, grant.address, grant.user, agent, at) for key, agent, at in sessions))


records = st.builds(
    Record,
    gone=st.lists(grants, max_size=3),
    grants=st.lists(st.builds(cell, grants, st.lists(sessions, max_size=3)), max_size=3),
    crowds=st.dictionaries(addresses, st.binary(max_size=2), max_size=2),
    positions=st.dictionaries(users, st.binary(max_size=3), max_size=2),
)


class Model:
    def __init__(self) -> None:
        self.grants: dict[GrantKey, Cell] = {}
        self.crowds: dict[Address, bytes] = {}
        self.positions: dict[str, bytes] = {}
        self.written = self.unchecked = False

    def commit(self, record: Record) -> None:
        self.written = True
        for gone in record.gone:
            if gone.key in self.grants and self.grants[gone.key].grant.until <= gone.until:
                del self.grants[gone.key]
        self.grants |= {cell.grant.key: cell for cell in record.grants}
        self.crowds = {key: crowd for key, crowd in (self.crowds | record.crowds).items() if crowd}
        self.positions |= record.positions


class StoreMachine(RuleBasedStateMachine):
    @initialize(few=st.sampled_from([1, 2, bundles.FEW]), most=st.integers(1, 9))
    def begin(self, few: int, most: int) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(bundles, "FEW", few)
        self.patch.setattr(bundles, "MOST", most)
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "0" / "ledger.db"
        self.path.parent.mkdir()
        self.store = SqliteStore(self.path)
        self.model = Model()

    @rule(group=st.lists(records, min_size=1, max_size=3))
    def commit(self, group: list[Record]) -> None:
        self.store.commit(group)
        for record in group:
            self.model.commit(record)

    @rule(group=st.lists(records, min_size=1, max_size=3), statements=st.integers(0, 20))
    def fail(self, group: list[Record], statements: int) -> None:
        """After so many writes to a table, or when all was written."""
        write, left = tables.write, iter(range(statements))

        def failing(
            connection: sqlite3.Connection, statement: Callable[[int], str], rows: Sequence[tables.Row]
        ) -> None:
            if next(left, None) is None:
                raise sqlite3.OperationalError("the disk is full")
            write(connection, statement, rows)

        with self.patch.context() as meanwhile:
            meanwhile.setattr(tables, "write", failing)
            with pytest.raises((sqlite3.OperationalError, TypeError)):
                self.store.commit([*group, Record(positions={"a": object()})])  # type: ignore[dict-item]  # none is so

    @rule()
    def unpack_old(self) -> None:
        self.store.unpack_old()

    @rule()
    def close_and_open(self) -> None:
        self.store.close()
        self.model.written = False
        self._open()

    @rule()
    def crash(self) -> None:
        """What lies on the disk while the store is open is what a killed daemon leaves."""
        image = self.directory / str(int(self.path.parent.name) + 1)
        shutil.copytree(self.path.parent, image)
        self.store.close()
        self.path = image / "ledger.db"
        self.model.unchecked |= self.model.written
        self._open()

    def _open(self) -> None:
        self.store, aside = open_or_set_aside(self.path, 0.0)
        assert aside is None

    @invariant()
    def holds_what_was_committed(self) -> None:
        snapshot = self.store.load()
        assert read_snapshot(self.path) == snapshot
        assert {cell.grant.key: cell for cell in snapshot.grants} == self.model.grants
        assert (snapshot.crowds, snapshot.positions) == (self.model.crowds, self.model.positions)
        assert self.store.unchecked == self.model.unchecked

    @invariant()
    def remembers_of_bundles_what_is_in_the_file(self) -> None:
        rows = self.store._grants
        in_file = bundles.read(self.store._connection)[1]
        assert [*rows._bundles] == in_file
        assert rows._size == sum(bundle.size for bundle in in_file)
        assert rows.total == sum(bundle.number for bundle in in_file)
        last = {key: cells for shard in rows._last.shards for key, cells in shard.items()}
        assert last == {key: bundle.cells for bundle in rows._bundles for key in bundle.cells}
        assert all(bundle.cells is last[key] for bundle in rows._bundles for key in bundle.cells)
        assert not rows._undo

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)
        self.patch.undo()


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=16, suppress_health_check=[HealthCheck.too_slow])
