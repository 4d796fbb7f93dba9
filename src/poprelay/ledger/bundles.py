"""The rows of grants where logins come fast: many are bundled in one row, and get their places later.

To put a renewed grant in its place costs a page of the file, and where logins come fast most are renewed again soon. So
the grants of a record with many renewals become one row of the table `bundles`, and share its number. What a bundle
has of a grant counts more than the grant's place and earlier bundles. Of a grant that is dropped, or put in its place,
a later bundle says that it was let go: its place counts again. The oldest bundles are unpacked when all together hold
too much, when they have been there for a while, or at the end: what no later one has gets its place.

A bundle that is missing would bring back what it let go; so the ledger's `meta` has the sum of their numbers.
"""

from __future__ import annotations

import math
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Final, TypeAlias

import msgspec

from poprelay.errors import StoreDamaged
from poprelay.ledger.record import Cell
from poprelay.ledger.sharded import Sharded
from poprelay.ledger.tables import BUNDLES, GRANTS, Row, grant_row, grants, raw
from poprelay.model import Address, Basis, Grant, GrantKey

FEW: Final = 64
"""Renewals in one record that are worth a bundle."""
LARGEST: Final = 4_096
"""Grants of one record that one has at most: more come from a whole log, not from one that grows. As many entries are
unpacked in one transaction."""
MOST: Final = 262_144
"""Entries of all bundles together, before the oldest are unpacked."""

_Name: TypeAlias = tuple[Address, bytes, Basis]
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
        self._size = 0
        self.total = 0
        """Of the numbers of all bundles."""
        self._old = 0
        """The last bundle that was there when `unpack_old` last had nothing to do."""
        self._undo: list[Callable[[], None]] = []
        """What takes back, last first, what was done in the transaction."""
        for bundle in self._bundles:
            self._remember(bundle)

    def put(self, cells: Sequence[Cell]) -> None:
        """Insert the rows of these grants, or replace them, in this order."""
        renewed = sum(cell.grant.renewals > 0 for cell in cells)
        if renewed < FEW or 2 * renewed < len(cells) or len(cells) > LARGEST:
            GRANTS.put(self._connection, [grant_row(cell, self._node, self._seq()) for cell in cells])
            self._let_go(cell.grant.key for cell in cells)
            return
        if self._size + len(cells) > MOST:
            self._unpack(self._size + len(cells) - MOST)  # before the next one is written: that takes their pages
        self._add(cells)

    def drop(self, gone: Iterable[Grant]) -> None:
        """Delete the rows of these grants, but for those whose `until` is later than here."""
        rows: list[Row] = []
        bundled: list[GrantKey] = []
        for grant in gone:
            key, until = grant.key, grant.until
            if (last := self._last.get(key)) is not None:
                if last[key].grant.until > until:
                    continue
                bundled.append(key)
                until = math.inf
            rows.append((*_name(key), until))
        GRANTS.drop(self._connection, rows, "until")
        self._let_go(bundled)

    def unpack_old(self) -> bool:
        """Unpack some of those that were there when this last had nothing to do; False if there is none."""
        if self._unpack(LARGEST, newest=self._old):
            return True
        self._old = self._bundles[-1].number if self._bundles else 0
        return False

    def unpack(self) -> bool:
        """Unpack some of the oldest; False if there is none."""
        return self._unpack(LARGEST)

    def _unpack(self, entries: int, *, newest: float = math.inf) -> bool:
        """Until so many entries are gone, or the `newest` is: what no later one has gets its place."""
        going: list[Bundle] = []
        while self._bundles and self._bundles[0].number <= newest and entries > 0:
            bundle = self._bundles.popleft()
            going.append(bundle)
            entries -= bundle.size
            self._forget(bundle)
            self._undo.append(partial(self._put_back, bundle))
        rows = [grant_row(cell, self._node, bundle.number) for bundle in going for cell in bundle.cells.values()]
        GRANTS.put(self._connection, rows)
        BUNDLES.drop(self._connection, [(bundle.number,) for bundle in going])
        return bool(going)

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
            self._add((), known)

    def _add(self, cells: Sequence[Cell], let_go: Sequence[GrantKey] = ()) -> None:
        """One bundle more, which has these grants, and lets go of those, which others have."""
        number = self._seq()
        entries: list[Row] = [grant_row(cell, self._node, number) for cell in cells]
        entries += map(_name, let_go)
        BUNDLES.put(self._connection, [(number, self._node, _encode(entries))])
        latest: dict[GrantKey, Cell] = {}
        before = [(key, former := self._last.shard(key).pop(key), former.pop(key)) for key in let_go]
        for cell in cells:
            key = cell.grant.key
            last = self._last.shard(key)
            if (earlier := last.get(key)) is not None and earlier is not latest:
                before.append((key, earlier, earlier.pop(key)))
            latest[key] = cell
            last[key] = latest
        bundle = Bundle(number, len(entries), latest)
        self._bundles.append(bundle)
        self._size += bundle.size
        self.total += number
        self._undo.append(partial(self._take_back, bundle, before))

    def _take_back(self, bundle: Bundle, before: list[tuple[GrantKey, dict[GrantKey, Cell], Cell]]) -> None:
        """What `_add` did."""
        self._bundles.pop()
        self._forget(bundle)
        for key, earlier, cell in before:
            earlier[key] = cell
            self._last.shard(key)[key] = earlier

    def _put_back(self, bundle: Bundle) -> None:
        """What `_unpack` took."""
        self._bundles.appendleft(bundle)
        self._remember(bundle)

    def _remember(self, bundle: Bundle) -> None:
        self._size += bundle.size
        self.total += bundle.number
        for key in bundle.cells:
            self._last.shard(key)[key] = bundle.cells

    def _forget(self, bundle: Bundle) -> None:
        self._size -= bundle.size
        self.total -= bundle.number
        for key in bundle.cells:
            del self._last.shard(key)[key]


def read(connection: sqlite3.Connection, total: int | None = None) -> tuple[list[Cell], list[Bundle]]:
    """Every grant as it counts, and the bundles that some of them are in, oldest first.

    Raises StoreDamaged, also where the bundles' numbers do not make `total`, what `meta` says of them.
    """
    try:
        found, bundles = _read(connection)
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"a row of the ledger's grants or bundles makes no sense: {error}") from error
    if total is not None and sum(bundle.number for bundle in bundles) != total:
        raise StoreDamaged("a bundle of the ledger's grants is missing", table=BUNDLES.name)
    return found, bundles


def _read(connection: sqlite3.Connection) -> tuple[list[Cell], list[Bundle]]:
    latest: dict[Row, tuple[Bundle, Row]] = {}
    bundles: list[Bundle] = []
    for number, _node, packed in BUNDLES.rows(connection):  # in the order of their numbers
        entries = _decode(packed)
        bundles.append(bundle := Bundle(number, len(entries), {}))
        for entry in entries:
            name = entry[: GRANTS.key]
            if len(entry) == len(GRANTS.columns):
                latest[name] = (bundle, entry)
            elif len(entry) == GRANTS.key:
                latest.pop(name, None)
            else:
                raise ValueError(f"an entry of {len(entry)} values")
    placed = GRANTS.rows(connection)
    if latest:
        placed = (row for row in placed if row[: GRANTS.key] not in latest)
    found = grants(chain(placed, (row for _, row in latest.values())))
    for cell, (bundle, _) in zip(found[len(found) - len(latest) :], latest.values(), strict=True):
        bundle.cells[cell.grant.key] = cell
    return found, bundles


def _name(key: GrantKey) -> _Name:
    return key.address, raw(key.user), key.basis
