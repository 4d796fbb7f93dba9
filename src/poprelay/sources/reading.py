"""One open log file, plain or compressed, and how far it has been read. Everything here blocks."""

from __future__ import annotations

import io
import os
import pwd
import stat
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from poprelay.errors import SourceError
from poprelay.sources.archive import CHUNK
from poprelay.sources.lines import LONGEST, Block, Lines
from poprelay.sources.place import FINGERPRINT, Fingerprint, Identity, Place
from poprelay.sources.unpack import MAGIC, compressed, unpack

log = structlog.get_logger()

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Truncated(Exception):
    """What had been read is not in the file any more."""


class Reading:
    """An open file. `head` and `tail` are its first bytes and those before `offset`, as they were read."""

    def __init__(self, path: Path) -> None:
        """Open a file at its start. Raises FileNotFoundError if it is missing, SourceError if it cannot be read."""
        self.path = Path(os.path.realpath(path))
        self.offset = 0
        self.lines = Lines()
        self.copy_of: Identity | None = None
        self._head = self._tail = self._glimpse = b""
        self._is_damaged = False
        self.descriptor = _open(path)
        status = os.fstat(self.descriptor)
        self.identity: Identity = status.st_dev, status.st_ino
        self.modified = status.st_mtime
        start = os.pread(self.descriptor, MAGIC, 0)
        self._stream = unpack(io.FileIO(self.descriptor, closefd=False), start) if compressed(start) else None

    @classmethod
    def resume(cls, path: Path, place: Place) -> tuple[Literal["same", "shorter", "other"], Reading]:
        """Open a file, and go on at `place` if its content is that of the place.

        'shorter' is a copy that was made before all of it had been read: nothing in it is new. 'other' is not read on.
        """
        reading = cls(path)
        try:
            likeness = reading._seek(place)
        except BaseException:
            reading.close()
            raise
        return likeness, reading

    @property
    def is_packed(self) -> bool:
        return self._stream is not None

    @property
    def is_untouched(self) -> bool:
        """Nothing of it was read yet, nor unpacked."""
        return not self.offset and not self.is_packed

    def glimpse(self) -> bytes:
        """The first bytes of a file of which nothing was read yet; `read` then makes sure that they are the same."""
        try:
            if self._stream is None:
                self._glimpse = os.pread(self.descriptor, FINGERPRINT, 0)
            else:
                self._glimpse = self._stream.peek(FINGERPRINT)[:FINGERPRINT]
        except OSError as error:
            self._damaged(error)
        return self._glimpse

    def read(self, limit: int) -> tuple[Block, int]:
        """The next whole lines, and how many bytes were read for them. Raises Truncated."""
        if self._stream is not None:
            data = self._unpack(self._stream, limit)
        else:
            # In one call, so that no truncation comes between the look at what we know and the reading of what is new.
            content = os.pread(self.descriptor, len(self._tail) + limit, self.offset - len(self._tail))
            if not content.startswith(self._tail) or os.pread(self.descriptor, len(self._head), 0) != self._head:
                raise Truncated
            data = content[len(self._tail) :]
            if not self.offset and not data.startswith(self._glimpse[:limit]):
                return Block(b""), 0
        if not data:
            return Block(b""), 0
        self.refresh()
        self._passed(data)
        return self.lines.feed(data), len(data)

    def restart(self) -> None:
        """From the first byte, as a new file."""
        self.offset, self.lines, self.copy_of = 0, Lines(), None
        self._head = self._tail = b""

    def skip_to_end(self) -> None:
        """Stand behind the last whole line, as if all before had been read."""
        size = self.size()
        start = max(0, size - LONGEST)
        end = os.pread(self.descriptor, size - start, start).rfind(b"\n") + 1
        if not end and start:
            self.lines.skipping = True
            end = size - start
        self.offset = start + end
        self._head = os.pread(self.descriptor, min(FINGERPRINT, self.offset), 0)
        length = min(FINGERPRINT, self.offset)
        self._tail = os.pread(self.descriptor, length, self.offset - length)

    def size(self) -> int:
        """Bytes in the file, as it is stored."""
        return os.fstat(self.descriptor).st_size

    def refresh(self) -> None:
        self.modified = os.fstat(self.descriptor).st_mtime

    def lag(self) -> int:
        """Bytes that wait to be read; of a compressed file nobody can say, so 0."""
        return 0 if self.is_packed else max(0, self.size() - self.offset)

    def is_deleted(self) -> bool:
        return os.fstat(self.descriptor).st_nlink == 0

    @property
    def head(self) -> bytes:
        """The first bytes, as far as they were read."""
        return self._head

    def mark(self) -> Place:
        """Where the first bytes end: enough to know the file again, compressed or not."""
        head = Fingerprint.of(self._head or self._glimpse)
        fresh = {"partial": b"", "skipping": False, "copy_of": None}
        return msgspec.structs.replace(self.place(), offset=head.length, head=head, tail=head, **fresh)

    def place(self) -> Place:
        return Place(
            path=os.fsencode(self.path),
            device=self.identity[0],
            inode=self.identity[1],
            offset=self.offset,
            head=Fingerprint.of(self._head),
            tail=Fingerprint.of(self._tail),
            partial=self.lines.partial,
            skipping=self.lines.skipping,
            copy_of=self.copy_of,
        )

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _seek(self, place: Place) -> Literal["same", "shorter", "other"]:
        if self._stream is not None:
            likeness = self._wind(self._stream, place)
        else:
            head = os.pread(self.descriptor, place.head.length, 0)
            if not place.head.fits(head):
                return "other"
            end = min(self.size(), place.offset)
            length = min(place.tail.length, end)
            tail = os.pread(self.descriptor, length, end - length)
            likeness = self._likeness(place, head, tail, end)
        if likeness != "other":
            self.lines = Lines(place.partial, skipping=place.skipping)
            self.copy_of = place.copy_of
        return likeness

    def _wind(self, stream: io.BufferedReader, place: Place) -> Literal["same", "shorter", "other"]:
        """Unpack as far as the place; a stream cannot go there at once."""
        head = b""
        while len(head) < place.head.length and (data := self._unpack(stream, place.head.length - len(head))):
            head += data
        if not place.head.fits(head):
            return "other"
        end, tail = len(head), head
        while end < place.offset and (data := self._unpack(stream, min(CHUNK, place.offset - end))):
            end, tail = end + len(data), (tail + data)[-FINGERPRINT:]
        return self._likeness(place, head, tail[-place.tail.length :] if place.tail.length else b"", end)

    def _likeness(self, place: Place, head: bytes, tail: bytes, end: int) -> Literal["same", "shorter", "other"]:
        if end == place.offset and not place.tail.fits(tail):
            return "other"
        self._head, self._tail, self.offset = head, tail, end
        return "same" if end == place.offset else "shorter"

    def _passed(self, data: bytes) -> None:
        if self.offset < FINGERPRINT:
            self._head += data[: FINGERPRINT - self.offset]
        self._tail = data[-FINGERPRINT:] if len(data) >= FINGERPRINT else (self._tail + data)[-FINGERPRINT:]
        self.offset += len(data)

    def _unpack(self, stream: io.BufferedReader, limit: int) -> bytes:
        """The next bytes; a damaged file ends where its damage begins, since waiting would not mend it."""
        if self._is_damaged:
            return b""
        try:
            return stream.read1(limit)
        except OSError as error:
            self._damaged(error)
            return b""

    def _damaged(self, error: OSError) -> None:
        if self._stream is None:
            raise error
        self._is_damaged = True
        log.warning("compressed log is damaged, what follows in it is lost", path=str(self.path), error=str(error))


def refusal(path: Path, error: OSError) -> SourceError:
    """The sentence for an operating system's error."""
    if isinstance(error, PermissionError):
        user = _user()
        remedy = (
            f"add the user {user} to the group that may (`usermod -aG adm {user}`), or `setfacl -m u:{user}:r {path}`"
        )
        return SourceError(f"{path}: permission denied to {user}", remedy=remedy, path=str(path))
    return SourceError(f"{path} cannot be read: {error.strerror or error}", path=str(path))


def _open(path: Path) -> int:
    """A descriptor of a regular file; never waits for a FIFO's writer."""
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refusal(path, error) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path} is a directory", remedy="give the path of the log file in it", path=str(path))
    remedy = 'give the path of a file; a pipe is read by a source of kind = "stdin"'
    raise SourceError(f"{path} is not a regular file", remedy=remedy, path=str(path))


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
