"""The files that a log has become: which of a directory's files are its rotated ones, and in what order they were made.

Rotated files carry the log's name and a number or a date, before or after its extension, and perhaps a compressor's
suffix: `mail.log.1`, `mail.log-20261123.gz`, `mail-20261123.log.xz`, `maillog.0.bz2`. Of logs with a number the
smallest is the newest, of those with a date the latest; where both kinds are there, the time of the last write decides.
Other files that begin with the log's name (`mail.log.old`) may turn out to be the one we were reading, but are never
read as the next: `/var/log/mail.err` is no rotated `/var/log/mail`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from poprelay.model import Instant
from poprelay.sources.place import Identity

_PACKED: Final = re.compile(r"\.(?:gz|xz|zst|bz2)$")
_BEHIND: Final = re.compile(r"[.\-_](\d[\d.:T_\-]*)", re.ASCII)
_BEFORE: Final = re.compile(r"[.\-_](\d{4}[\d.:T_\-]*)|\.(\d{1,3})", re.ASCII)
"""Before the extension a small number needs a dot: `mail-2.log` is another log."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A file in the log's directory, as it was when we looked."""

    path: Path
    identity: Identity
    modified: Instant
    size: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Entry:
        return cls(path, (status.st_dev, status.st_ino), status.st_mtime, status.st_size)

    @property
    def is_packed(self) -> bool:
        """Whether its name says that it is compressed."""
        return _PACKED.search(self.path.name) is not None


class Listing(msgspec.Struct, frozen=True):
    """The files of one log: `rotated` from the oldest to the newest, `live` under the log's own name, and `others`."""

    rotated: tuple[Entry, ...]
    live: Entry | None
    others: tuple[Entry, ...]

    @classmethod
    def of(cls, path: Path) -> Listing:
        """Look now. A directory that may not be listed shows only the live file. Raises OSError."""
        live = live_entry(path)
        rotated: dict[str, tuple[tuple[int, ...], Entry]] = {}
        others = []
        for entry, number in _siblings(path):
            if live is not None and entry.identity == live.identity:
                continue
            if number is None:
                others.append(entry)
                continue
            plain = _PACKED.sub("", str(entry.path))
            # While a file is being compressed both are there, and only the plain one is sure to be whole.
            if plain not in rotated or plain == str(entry.path):
                rotated[plain] = number, entry
        return cls(tuple(_in_order(list(rotated.values()))), live, tuple(others))

    @property
    def chain(self) -> tuple[Entry, ...]:
        """What was written, in order; the live file is the last."""
        return self.rotated if self.live is None else (*self.rotated, self.live)

    def after(self, identity: Identity) -> tuple[Entry, ...] | None:
        """What was written after a file; None if it is not among the rotated ones."""
        for index, entry in enumerate(self.chain):
            if entry.identity == identity:
                return self.chain[index + 1 :]
        return None

    def since(self, modified: Instant) -> tuple[Entry, ...]:
        """What has been written after a time, or may yet be: all that can be said where no file is known any more."""
        return tuple(entry for entry in self.chain if entry is self.live or entry.modified > modified or not entry.size)

    def same_files(self, other: Listing) -> bool:
        """Whether nothing was renamed, made or removed between two looks."""
        return [(entry.path, entry.identity) for entry in self.chain] == [
            (entry.path, entry.identity) for entry in other.chain
        ]


def live_entry(path: Path) -> Entry | None:
    """The file that the log's path names now; None if it is missing, or its link dangles. Raises OSError."""
    try:
        return Entry.of(path, path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def directories(path: Path) -> tuple[Path, ...]:
    """Where the log's files are: beside its name, and beside the file that this is a symbolic link to."""
    target = Path(os.path.realpath(path))
    return (path.parent,) if target.parent == path.parent else (path.parent, target.parent)


def _siblings(path: Path) -> Iterable[tuple[Entry, tuple[int, ...] | None]]:
    """Regular files that bear the log's name, or that of what it links to; each with its number, if it bears one."""
    found: dict[Path, tuple[Entry, tuple[int, ...] | None]] = {}
    for log in dict.fromkeys((path, Path(os.path.realpath(path)))):
        try:
            names = [path.name for path in log.parent.iterdir()]
        except OSError:
            continue
        for name in names:
            entry_path = log.parent / name
            if not name.startswith(log.stem) or entry_path == path:
                continue
            number = _number(name, log)
            if number is None and (entry_path in found or not name.startswith(log.name)):
                continue
            try:
                status = entry_path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[entry_path] = Entry.of(entry_path, status), number
    return found.values()


def _number(name: str, log: Path) -> tuple[int, ...] | None:
    """The numbers in a rotated log's name.

    >>> _number("mail.log.2.gz", Path("mail.log")), _number("mail-20261123.log", Path("mail.log"))
    ((2,), (20261123,))
    >>> _number("mail.log.old", Path("mail.log")), _number("mail.err", Path("mail"))
    (None, None)
    """
    name = _PACKED.sub("", name)
    match = None
    if name.startswith(log.name):
        match = _BEHIND.fullmatch(name[len(log.name) :])
    elif name.startswith(log.stem) and name.endswith(log.suffix):
        match = _BEFORE.fullmatch(name[len(log.stem) : len(name) - len(log.suffix)])
    return tuple(int(digits) for digits in re.findall(r"\d+", match[0])) if match else None


def _in_order(numbered: list[tuple[tuple[int, ...], Entry]]) -> list[Entry]:
    """From the oldest to the newest."""
    counted = [len(number) == 1 and number[0] < 10_000 for number, _ in numbered]
    if all(counted):
        numbered.sort(key=lambda one: one[0], reverse=True)
    elif any(counted):
        numbered.sort(key=lambda one: one[1].modified)
    else:
        numbered.sort(key=lambda one: one[0])
    return [entry for _, entry in numbered]
