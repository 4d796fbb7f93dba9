"""The rows of grants where logins come fast: many are bundled in one row, and get their places later.

To put a renewed grant in its place costs a page of the file, and where logins come fast most are renewed again soon. So
the grants of a record with many renewals become one row of the table `bundles`. What a bundle has of a grant counts
more than the grant's place and earlier bundles. Of a grant that is dropped, or put in its place, a later bundle says
that it was let go: its place counts again. The oldest bundle is unpacked when all together hold too much, or when it
has been there for a while: what no later one has gets its place.
"""

from __future__ import annotations

import math
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from poprelay.ledger.record import Cell
from poprelay.ledger.sharded import Sharded
from poprelay.ledger.tables import BUNDLES, GRANTS, Row, grant_row, grants, raw
from poprelay.model import Grant, GrantKey

FEW: Final = 64
"""Renewals in one record that are not worth a bundle."""
LARGEST: Final = 4_096
"""Grants of one record that are too many for one: they come from a whole log, not from one that grows."""
MOST: Final = 262_144
"""Entries of all bundles together, before the oldest is unpacked."""

_Name: TypeAlias = tuple[Any, ...]
"""What names the row of a grant."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Row]).decode


class Bundle(msgspec.Struct):
    """What is remembered of one. `cells` are those of its grants that no later one has, nor lets go.

    Their keys are no tuples: the collector would look into a dict that has such, and hold everybody up.
    """

    number: int
    size: int
    cells: dict[GrantKey, Cell]


class Bundles:
    """The rows of a ledger's grants, for who writes them, within transactions; each ends with `kept` or `undo`.

    `node` is the ledger's, `seq` numbers its changes; `read` gives the bundles.
    """

    def __init__(
        self, connection: sqlite3.Connection, node: int, seq: Callable[[], int], bundles: Iterable[Bundle]
    ) -> None:
        self._connection = connection
        self._node = node
        self._seq = seq
        self._bundles = deque(bundles)
        """Oldest first."""
        self._last: Sharded[GrantKey, dict[GrantKey, Cell]] = Sharded()
        """Each grant in a bundle: the cells of the last that has it."""
        self._size = sum(bundle.size for bundle in self._bundles)
        self._old = 0
        """The last bundle that was there when `settle` last had nothing to do."""
        self._undo: list[Callable[[], None]] = []
        """What takes back, last first, what was done in the transaction."""
        for bundle in self._bundles:
            self._have(bundle)

    def put(self, cells: Sequence[Cell]) -> None:
        """Insert the rows of these grants, or replace them, in this order."""
        renewed = sum(cell.grant.renewals > 0 for cell in cells)
        rows = [grant_row(cell, self._node, self._seq()) for cell in cells]
        if renewed < FEW or 2 * renewed < len(cells) or len(cells) > LARGEST:
            GRANTS.put(self._connection, rows)
            self._let_go(cell.grant.key for cell in cells)
            return
        while self._bundles and self._size + len(cells) > MOST:
            self._unpack()  # before the next one is written: that takes its pages
        self._add(rows, cells)

    def drop(self, gone: Iterable[Grant]) -> None:
        """Delete the rows of these grants, but for those whose `until` is later than here."""
        rows: list[Row] = []
        bundled: list[GrantKey] = []
        for grant in gone:
            key = GrantKey(grant.address, grant.user, grant.basis)
            until = grant.until
            if (last := self._last.get(key)) is not None:
                if last[key].grant.until > until:
                    continue
                bundled.append(key)
                until = math.inf
            rows.append((*_name(key), until))
        GRANTS.drop(self._connection, rows, "until")
        self._let_go(bundled)

    def settle(self) -> bool:
        """Unpack the oldest bundle that was there when this last had nothing to do; False if there is none."""
        if self._bundles and self._bundles[0].number <= self._old:
            self._unpack()
            return True
        self._old = self._bundles[-1].number if self._bundles else 0
        return False

    def kept(self) -> None:
        """The transaction was committed."""
        self._undo.clear()

    def undo(self) -> None:
        """The transaction was not committed: all is as before."""
        while self._undo:
            self._undo.pop()()

    def _let_go(self, keys: Iterable[GrantKey]) -> None:
        """What bundles have of these counts no more."""
        if known := list(dict.fromkeys(key for key in keys if key in self._last)):
            self._add(list(map(_name, known)), (), known)

    def _add(self, entries: Sequence[Row], cells: Sequence[Cell], let_go: Sequence[GrantKey] = ()) -> None:
        """One bundle more: its rows and names, and the grants that these are about."""
        number = self._seq()
        BUNDLES.put(self._connection, [(number, self._node, _encode(entries))])
        latest: dict[GrantKey, Cell] = {}
        before = [(key, former := self._last.shard(key).pop(key), former.pop(key)) for key in let_go]
        for cell in cells:
            grant = cell.grant
            key = GrantKey(grant.address, grant.user, grant.basis)
            last = self._last.shard(key)
            if (earlier := last.get(key)) is not None and earlier is not latest:
                before.append((key, earlier, earlier.pop(key)))
            latest[key] = cell
            last[key] = latest
        bundle = Bundle(number, len(entries), latest)
        self._bundles.append(bundle)
        self._size += bundle.size
        self._undo.append(partial(self._take_back, bundle, before))

    def _take_back(self, bundle: Bundle, before: list[tuple[GrantKey, dict[GrantKey, Cell], Cell]]) -> None:
        """What `_add` did."""
        self._bundles.pop()
        self._size -= bundle.size
        self._forget(bundle)
        for key, earlier, cell in before:
            earlier[key] = cell
            self._last.shard(key)[key] = earlier

    def _unpack(self) -> None:
        """The oldest bundle goes; what no later one has gets its place."""
        bundle = self._bundles.popleft()
        self._size -= bundle.size
        self._forget(bundle)
        self._undo.append(partial(self._pack, bundle))
        GRANTS.put(self._connection, [grant_row(cell, self._node, bundle.number) for cell in bundle.cells.values()])
        BUNDLES.drop(self._connection, [(bundle.number,)])

    def _pack(self, bundle: Bundle) -> None:
        """The reverse of `_unpack`."""
        self._bundles.appendleft(bundle)
        self._size += bundle.size
        self._have(bundle)

    def _have(self, bundle: Bundle) -> None:
        for key in bundle.cells:
            self._last.shard(key)[key] = bundle.cells

    def _forget(self, bundle: Bundle) -> None:
        for key in bundle.cells:
            del self._last.shard(key)[key]


def read(connection: sqlite3.Connection) -> tuple[list[Cell], list[Bundle]]:
    """Every grant as it counts, and the bundles that some of them are in, oldest first. Raises StoreDamaged."""
    latest: dict[_Name, tuple[Bundle, Row]] = {}
    bundles: list[Bundle] = []
    for number, _node, packed in BUNDLES.rows(connection):
        entries = _decode(packed)
        bundles.append(bundle := Bundle(number, len(entries), {}))
        for entry in entries:
            name = entry[: GRANTS.key]
            if len(entry) > len(name):
                latest[name] = (bundle, entry)
            else:
                latest.pop(name, None)
    if not latest:
        return grants(GRANTS.rows(connection)), bundles
    found = grants(row for row in GRANTS.rows(connection) if row[: GRANTS.key] not in latest)
    for cell, (bundle, _) in zip(grants(row for _, row in latest.values()), latest.values(), strict=True):
        bundle.cells[cell.grant.key] = cell
        found.append(cell)
    return found, bundles


def _name(key: GrantKey) -> _Name:
    return key.address, raw(key.user), key.basis
