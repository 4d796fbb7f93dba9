"""A directory with one file for each address, named by it: Mail::POPRelay's spool, and relay-ctrl's.

Exim reads it live, in open sessions too: `condition = ${if exists{/var/spool/poprelay/$sender_host_address}}`. A file
holds who logged in, and its modification time is when they last did:

    poprelay      the user's name, without a newline; further ones each after a newline
    relay-ctrl    USER=name NUL, and DOMAIN=domain NUL where the name has one; the same again for further users

Files appear by rename. What is not a canonical address by name is somebody else's and left alone, hidden files above
all; so is a directory. A symbolic link is never followed: one that is named by an address (Exim would take it for a
grant) is reported as foreign, and removed as such.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self, TypeAlias

from poprelay.address import is_canonical
from poprelay.errors import MapError
from poprelay.ledger.files import sync_directory
from poprelay.maps import Entry, atomic, heritage
from poprelay.maps.keys import checked, foreign, foreign_record
from poprelay.maps.trouble import explained
from poprelay.model import Address, Instant, Login

if TYPE_CHECKING:
    from poprelay.config.section import Section

Form: TypeAlias = Literal["poprelay", "relay-ctrl"]

_LEFTOVER: Final = re.compile(r"\.([0-9a-f.:]+)\.[0-9]+\.new~?")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_AT_ONCE: Final = 128
"""Files that are prepared together, so that one journal commit of the file system makes many of them durable."""
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class SpoolMap:
    """The addresses as files in the directory `path`."""

    expresses_networks: ClassVar[bool] = False
    wants_renewals: ClassVar[bool] = True
    interval: float = 0.0

    def __init__(self, path: Path, form: Form = "poprelay", *, adopt: bool = False) -> None:
        """With `adopt`, what another program has left there counts as logins, once: see `poprelay.maps.heritage`."""
        self.path = path
        self._adopt = adopt
        self.name = f"spool {path}"
        self._form = form
        self._directory: int | None = None
        self._seen: atomic.Identity | None = None
        self._was_open = False
        """Whether others could write in it when we came."""

    @classmethod
    def from_section(cls, section: Section) -> Self:
        path = section.file("path")
        relay_ctrl = section.choice("format", ("poprelay", "relay-ctrl"), "poprelay") == "relay-ctrl"
        adopt = section.flag("adopt", default=False)
        return cls(path, "relay-ctrl" if relay_ctrl else "poprelay", adopt=adopt)

    def make(self) -> None:
        """Create the directory if it is missing, and let nobody but its owner write in it. Raises MapError."""
        with explained(self.name, self.path):
            directory = self._open()
            mode = os.fstat(directory).st_mode
            if mode & heritage.OTHERS:
                self._was_open = True
                with suppress(PermissionError):  # another's directory, in which the group may write for our sake
                    os.fchmod(directory, stat.S_IMODE(mode) & ~heritage.OTHERS)

    def inherited(self, now: Instant) -> Sequence[Login]:
        if not self._adopt:
            return ()
        with explained(self.name, self.path):
            return heritage.logins(self._open(), self.name, now, was_open=self._was_open)

    def keys(self) -> set[str]:
        """The addresses that have a file; anything else but a directory under such a name is reported as foreign."""
        with explained(self.name, self.path):
            if not self._is_current():
                self.close()
            directory = self._open()
            seen = atomic.look(self.path)
            leftovers: list[str] = []
            found: set[str] = set()
            with os.scandir(directory) as entries:
                for entry in entries:
                    leftover = _LEFTOVER.fullmatch(entry.name)
                    if leftover and is_canonical(leftover[1]):
                        leftovers.append(entry.name)
                    elif is_canonical(entry.name) and not entry.is_dir(follow_symlinks=False):
                        plain = entry.is_file(follow_symlinks=False)
                        found.add(entry.name if plain else foreign(entry.name.encode()))
            for name in leftovers:
                os.unlink(name, dir_fd=directory)
            self._seen = atomic.look(self.path) if leftovers else seen
            return found

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        """Remove files, then make or renew them. Each file changes as a whole; the directory does so one by one.

        MapError also where the directory had been replaced: the change is published then, and the map should be
        compared with the ledger again.
        """
        contents = {checked(entry.address): (self._content(entry.users), entry.last_login) for entry in added}
        plain = {checked(key) for key in removed if foreign_record(key) is None}
        odd = {checked(os.fsdecode(record)) for key in removed if (record := foreign_record(key)) is not None}
        with explained(self.name, self.path):
            replaced = self._directory is not None and not self._is_current()
            if replaced:
                self.close()
            undisturbed = atomic.look(self.path) == self._seen
            directory = self._open()
            touched = False
            for name in sorted(plain | odd):
                if name in plain or not _is_plain(directory, name):
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=directory)
                        touched = True
            differing = ((name, *rest) for name, rest in contents.items() if not _renewed(directory, name, *rest))
            for chunk in _chunks(differing):
                _make(directory, chunk)
                touched = True
            if touched:
                os.fsync(directory)
            if undisturbed:  # else that is still to be told
                self._seen = atomic.look(self.path)
        if replaced:
            raise MapError(f"{self.name}: the directory was replaced", remedy="it is compared with the ledger again")

    def disturbed(self) -> bool:
        with explained(self.name, self.path):
            return atomic.look(self.path) != self._seen

    def holds(self, address: Address) -> bool:
        with explained(self.name, self.path):
            try:
                return stat.S_ISREG((self.path / address).lstat().st_mode)
            except FileNotFoundError:
                return False

    def close(self) -> None:
        directory, self._directory = self._directory, None
        if directory is not None:
            os.close(directory)

    def _open(self) -> int:
        if self._directory is None:
            with suppress(FileExistsError):
                self.path.mkdir()
                self.path.chmod(0o755)
                sync_directory(self.path.parent)
            self._directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._directory

    def _is_current(self) -> bool:
        """Whether the path still names the directory that is open."""
        if self._directory is None:
            return True
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._directory)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def _content(self, users: Iterable[str]) -> bytes:
        names = [_CONTROL.sub(b"?", user.encode("utf-8", "surrogateescape")) for user in users]
        if self._form == "poprelay":
            return b"\n".join(names)
        content = b""
        for name in names:
            local, at, domain = name.rpartition(b"@")
            content += b"USER=" + (local + b"\0DOMAIN=" + domain if at else name) + b"\0"
        return content


def _renewed(directory: int, name: str, content: bytes, at: float) -> bool:
    """Whether the file is there with this content, and now has the modification time `at`; else make it anew."""
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:  # absent, a symbolic link, not ours to read
        return False
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return False
        if os.read(descriptor, len(content) + 1) != content:
            return False
        if status.st_mtime_ns != _nanoseconds(at):
            os.utime(descriptor, ns=(_nanoseconds(at), _nanoseconds(at)))
    except PermissionError:  # another user's file, an older daemon's for instance
        return False
    finally:
        os.close(descriptor)
    return True


def _make(directory: int, files: Sequence[tuple[str, bytes, float]]) -> None:
    """Prepare all of them, make them durable, then rename them into place."""
    prepared: list[tuple[int, str, str]] = []
    try:
        for name, content, at in files:
            fresh = atomic.temporary(name)
            with suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=directory)
            descriptor = os.open(fresh, _MAKE, atomic.NEW_FILE, dir_fd=directory)
            prepared.append((descriptor, fresh, name))
            os.fchmod(descriptor, atomic.NEW_FILE)
            os.write(descriptor, content)
            if os.pread(descriptor, len(content) + 1, 0) != content:
                raise MapError(f"{fresh} does not read back as it was written", remedy="check the disk")
            os.utime(descriptor, ns=(_nanoseconds(at), _nanoseconds(at)))
        for descriptor, _, _ in prepared:
            os.fsync(descriptor)
        for _, fresh, name in prepared:
            os.replace(fresh, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        for _, fresh, _ in prepared:
            with suppress(OSError):
                os.unlink(fresh, dir_fd=directory)
        raise
    finally:
        for descriptor, _, _ in prepared:
            os.close(descriptor)


def _nanoseconds(at: float) -> int:
    return int(at * 1_000_000) * 1000


def _chunks(files: Iterable[tuple[str, bytes, float]]) -> Iterator[list[tuple[str, bytes, float]]]:
    rest = iter(files)
    while chunk := list(islice(rest, _AT_ONCE)):
        yield chunk


def _is_plain(directory: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
