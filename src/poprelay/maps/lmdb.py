"""Postfix's `lmdb:` map, changed in place: each change costs the same however many addresses there are, and Postfix
sees it at its next lookup, in sessions already open too.

`/var/lib/poprelay/relay.lmdb` here is `check_client_access lmdb:/var/lib/poprelay/relay` in Postfix. A record is the
address and the value, each with one NUL at its end, as `postmap` writes them (a Postfix process that has found one
record with a NUL never looks for one without). Postfix shortens the address and looks again (`192.0.2`, `2001:db8`), so
a network cannot be said: it would have to be a key that matches far more than was meant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

import lmdb

from poprelay.address import is_canonical
from poprelay.errors import MapError
from poprelay.maps import Entry
from poprelay.maps.access import read_path, read_value
from poprelay.maps.environment import Environment, look_up
from poprelay.maps.keys import checked, foreign, foreign_record
from poprelay.maps.trouble import explained
from poprelay.model import Address

if TYPE_CHECKING:
    from poprelay.config.section import Section

LOCK_WAIT: Final = 5.0
"""Seconds to wait for a lock that Postfix or postmap holds."""
_NUL: Final = b"\0"


class LmdbMap:
    """The addresses in an LMDB file, each with the same value."""

    expresses_networks: ClassVar[bool] = False
    wants_renewals: ClassVar[bool] = False
    interval: float = 0.0

    def __init__(self, path: Path, value: str = "OK", *, lock_wait: float = LOCK_WAIT) -> None:
        self.path = path
        self.name = f"lmdb {path}"
        self._value = value.encode("ascii") + _NUL
        self._lock_wait = lock_wait
        self._environment: Environment | None = None

    @classmethod
    def from_section(cls, section: Section) -> Self:
        return cls(read_path(section, ".lmdb"), read_value(section))

    def keys(self) -> set[str]:
        """Every address whose record is ours; any other record is reported as foreign."""
        with self._explained():
            if self._environment is not None and not self._environment.is_current():
                self.close()
            return {self._key(record, value) for record, value in self._open().records()}

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        """Change the file in one durable transaction.

        MapError also where the file had been replaced, or changed by another program: the change is published then, and
        the map should be compared with the ledger again.
        """
        put = [(checked(entry.address).encode() + _NUL, self._value) for entry in added]
        gone = self._removals(removed)
        with self._explained():
            replaced = self._environment is not None and not self._environment.is_current()
            if replaced:
                self.close()
            environment = self._open()
            # in key order: neighbours share pages, so a large change writes each page once
            changed = environment.update(gone, sorted(put)) if put or gone else environment.disturbed()
            if replaced or changed:
                how = "the file was replaced" if replaced else "another program changed it"
                raise MapError(f"{self.name}: {how}", remedy="it is compared with the ledger again")

    def disturbed(self) -> bool:
        with explained(self.name, self.path), suppress(FileNotFoundError):
            self.path.stat()  # it may be that we must not look any more, and do not let go of the file for that
        with self._explained():
            environment = self._environment
            return environment is not None and (not environment.is_current() or environment.disturbed())

    def holds(self, address: Address) -> bool:
        with self._explained():
            return look_up(self.path, address.encode() + _NUL, self._lock_wait) == self._value

    def close(self) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()

    def _open(self) -> Environment:
        if self._environment is None:
            self._environment = Environment(self.path, self._lock_wait)
        return self._environment

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors as MapError; after one, the file is opened anew."""
        try:
            with explained(self.name, self.path):
                yield
        except lmdb.Error as error:
            self.close()
            damaged = isinstance(error, lmdb.CorruptedError | lmdb.PageNotFoundError | lmdb.MemoryError)
            remedy = f"move {self.path} away" if damaged else f"see if the disk that holds {self.path.parent} is full"
            raise MapError(f"{self.name}: {error}", remedy=remedy) from error
        except MapError:
            self.close()
            raise

    def _key(self, record: bytes, value: bytes) -> str:
        key = _address(record)
        return key if key is not None and value == self._value else foreign(record)

    def _removals(self, keys: Collection[str]) -> list[tuple[bytes, bytes | None]]:
        """The records to remove; beside a foreign one the value with which it stays: it may be ours meanwhile."""
        gone: dict[bytes, bytes | None] = {}
        for key in keys:
            record = foreign_record(key)
            if record is None:
                gone[checked(key).encode() + _NUL] = None
            else:
                gone.setdefault(record, None if _address(record) is None else self._value)
        return sorted(gone.items(), key=itemgetter(0))


def _address(record: bytes) -> str | None:
    """The address that a record's key is, if it is spelt as we spell it."""
    key = record.removesuffix(_NUL).decode("utf-8", "surrogateescape")
    return key if record.endswith(_NUL) and is_canonical(key) else None
