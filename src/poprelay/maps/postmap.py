"""A map of Postfix's that `postmap` makes anew for each change: under another name, read back, and renamed.

So Postfix sees the map of before or the new one, and a new one always: it looks whether the file that it has open is
still there, while it would miss a change in place within the second of the one before. What it costs grows with the
number of addresses. Sessions that are open go on with what they have.

The file is ours as a whole: a record of somebody else's goes with the next change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias

from poprelay.address import is_canonical
from poprelay.errors import MapError
from poprelay.maps import Entry, atomic, command, made
from poprelay.maps.access import read_path, read_value
from poprelay.maps.keys import checked, foreign, foreign_record
from poprelay.maps.trouble import explained
from poprelay.maps.uptake import TIMEOUT
from poprelay.model import Address

if TYPE_CHECKING:
    from poprelay.config.section import Section

Read: TypeAlias = Callable[["PostmapMap", Path], Iterable[tuple[bytes, bytes]]]
"""Every record of a database of the kind; without a NUL at their ends. Raises MapError, OSError."""


class PostmapMap:
    """The addresses in a database of Postfix's, each with the same value."""

    expresses_networks: ClassVar[bool] = False
    wants_renewals: ClassVar[bool] = False

    def __init__(
        self,
        kind: str,
        path: Path,
        read: Read,
        value: str = "OK",
        *,
        postmap: str = "postmap",
        timeout: float = TIMEOUT,
        interval: float = 1.0,
    ) -> None:
        """`kind` is the type of the table, as Postfix calls it; what it puts behind the name is `path`'s suffix."""
        self.path = path
        self.name = f"{kind} {path}"
        self.interval = interval
        self.postmap = postmap
        self.timeout = timeout
        self._kind = kind
        self._read = read
        self._value = value
        self._held: set[str] | None = None
        """What it holds as far as we know, foreign records too; None before we have looked."""
        self._seen: atomic.Identity | None = None

    @classmethod
    def from_section(cls, section: Section, kind: str, suffix: str, read: Read) -> Self:
        return cls(
            kind,
            read_path(section, suffix),
            read,
            read_value(section),
            postmap=section.text("postmap", "postmap"),
            timeout=section.duration("command_timeout", TIMEOUT, low=1.0, high=3600.0),
            interval=section.duration("interval", 1.0, low=0.0, high=3600.0),
        )

    def keys(self) -> set[str]:
        """Every address whose record is ours; any other record is reported as foreign."""
        with explained(self.name, self.path):
            real = self._real()
            atomic.sweep(real)
            return set(self._look(real))

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        """Make the database anew if anything differs.

        MapError also where another program had changed it: the change is published then, and the map should be compared
        with the ledger again.
        """
        arriving = {checked(entry.address) for entry in added}
        leaving = {checked(key) for key in removed if foreign_record(key) is None}
        with explained(self.name, self.path):
            real = self._real()
            disturbed = self._held is not None and atomic.look(real) != self._seen
            held = self._look(real) if disturbed or self._held is None else self._held
            wanted = {key for key in held if foreign_record(key) is None} - leaving | arriving
            if wanted != held:
                self._publish(real, wanted)
        if disturbed:
            raise MapError(f"{self.name}: another program changed it", remedy="it is compared with the ledger again")

    def disturbed(self) -> bool:
        with explained(self.name, self.path):
            return atomic.look(self._real()) != self._seen

    def holds(self, address: Address) -> bool:
        with explained(self.name, self.path):
            real = self._real()
            return real.exists() and address in self._records(real)

    def close(self) -> None:
        """Nothing is held open between two changes."""

    def table(self, path: Path) -> str:
        """A database as Postfix names it: `hash:/var/lib/poprelay/relay`."""
        return f"{self._kind}:{path.with_suffix('')}"

    def _real(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _look(self, real: Path) -> set[str]:
        """What the database holds; an empty one is made if there is none."""
        seen = atomic.look(real)
        if seen is None:
            return self._publish(real, set())
        self._held, self._seen = self._records(real), seen
        return self._held

    def _records(self, path: Path) -> set[str]:
        return {self._key(key, value) for key, value in self._read(self, path)}

    def _key(self, record: bytes, value: bytes) -> str:
        key = record.decode("utf-8", "surrogateescape")
        return key if is_canonical(key) and value == self._value.encode() else foreign(record)

    def _publish(self, real: Path, wanted: set[str]) -> set[str]:
        text = real.with_name(atomic.temporary(real.name))
        fresh = text.with_name(text.name + real.suffix)
        try:
            text.write_text("".join(f"{key}\t{self._value}\n" for key in wanted))
            text.chmod(atomic.NEW_FILE)
            command.run((self.postmap, f"{self._kind}:{text}"), timeout=self.timeout)
            if self._records(fresh) != wanted:
                raise MapError(f"{fresh} does not read back as it was written", remedy="check the disk")
            seen = made.publish(fresh, real, like=text)
        finally:
            for file in (text, fresh):
                file.unlink(missing_ok=True)
        self._held, self._seen = wanted, seen
        return wanted
