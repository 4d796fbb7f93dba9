"""The follower against a model of ten lines: what writers and rotations do, in any order, with crashes at any moment.

The model is a list of the whole lines that were written, and of the file each was written to. Whatever happens, the
follower hands over each of them exactly once, and those of one file in their order; where nobody appends to a file
that was already rotated, the order of all is that of writing.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import zstandard
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from poprelay.sources.follow import Trail
from poprelay.sources.place import Position

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
}
LIMITS = (7, 100, 4096, 1 << 20)


class Following(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "mail.log"
        self.written: list[tuple[int, bytes]] = []
        self.number = 0
        self.file = 0
        self.half = b""
        self.old_half = b""
        self.late = False
        self.can_be_late = False
        self.split = False
        self.unknown = False
        self.seen: list[bytes] = []
        self.unacknowledged: tuple[list[bytes], bytes] | None = None
        self.position = Position().encode()
        self.tick = 1_700_000_000
        self.path.touch()
        self.stamp(self.path)
        self.trail = Trail(self.path, Position())
        self.read_all()

    # What the writer does.

    @rule(count=st.integers(1, 4), width=st.sampled_from([0, 0, 30, 600, 3000]))
    def append(self, count: int, width: int) -> None:
        for _ in range(count):
            begun, self.half = self.half, b""
            rest = self.line(width)
            self.write(self.path, rest + b"\n")
            self.written.append((self.file, begun + rest))

    @rule()
    def append_a_line_over_the_limit(self) -> None:
        if not self.half:
            self.write(self.path, self.line(70_000) + b"\n")

    @precondition(lambda self: not self.half and self.path.exists())
    @rule(width=st.sampled_from([0, 30, 600]))
    def append_half(self, width: int) -> None:
        self.half = self.line(width)
        self.write(self.path, self.half)

    @precondition(lambda self: self.can_be_late)
    @rule()
    def append_to_the_rotated_file(self) -> None:
        self.late = True
        begun, self.old_half = self.old_half, b""
        rest = self.line(5)
        self.unknown = self.unknown or not (self.folder / "mail.log.1").stat().st_size
        self.write(self.folder / "mail.log.1", rest + b"\n")
        self.written.append((self.file - 1, begun + rest))

    # What logrotate and the operator do.

    # An inode may go from a truncated file to a later one: no half line then, which would be taken for the copy's.
    @precondition(lambda self: self.path.exists() and not self.split and not (self.half and self.reads_a_copy()))
    @rule(create=st.booleans())
    def rename(self, create: bool) -> None:
        self.shift()
        self.path.rename(self.folder / "mail.log.1")
        if create:
            self.write(self.path, b"")
        self.old_half, self.half = self.half, b""
        self.can_be_late = True

    @precondition(lambda self: self.path.exists() and (not self.half or self.is_known()))
    @rule()
    def copytruncate(self) -> None:
        self.shift()
        shutil.copyfile(self.path, self.folder / "mail.log.1")
        self.stamp(self.folder / "mail.log.1")
        os.truncate(self.path, 0)
        self.stamp(self.path)
        self.split = self.split or bool(self.half)
        self.can_be_late = False

    # Nothing tells a file that was empty when we last saw it, once it is compressed.
    @precondition(lambda self: not self.split and not self.unknown)
    @rule(nth=st.integers(0, 3), suffix=st.sampled_from(sorted(PACKERS)))
    def compress(self, nth: int, suffix: str) -> None:
        plain = [path for _, path in sorted(self.rotated()) if path.suffix not in PACKERS]
        if nth < len(plain):
            status = plain[nth].stat()
            packed = plain[nth].with_name(plain[nth].name + suffix)
            packed.write_bytes(PACKERS[suffix](plain[nth].read_bytes()))
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            plain[nth].unlink()
            self.can_be_late = self.can_be_late and nth > 0

    @rule(recreate=st.booleans())
    def delete_what_was_read(self, recreate: bool) -> None:
        self.read_all()
        if self.path.exists() and not self.half:
            self.path.unlink()
            self.file += 1
            self.can_be_late = False
            if recreate:
                self.write(self.path, b"")

    @rule()
    def delete_the_oldest_that_was_read(self) -> None:
        self.read_all()
        rotated = sorted(self.rotated())
        if rotated:
            rotated[-1][1].unlink()
            self.can_be_late = self.can_be_late and len(rotated) > 1

    # What we do.

    @rule(looks=st.integers(1, 5), limit=st.sampled_from(LIMITS))
    def read(self, looks: int, limit: int) -> None:
        for _ in range(looks):
            self.look(limit)

    @rule()
    def read_all(self) -> None:
        while self.look(1 << 20):
            pass
        self.acknowledge()
        self.compare()
        self.unknown = False
        self.split = self.split and self.path.exists() and not self.path.stat().st_size

    @precondition(lambda self: not self.split or (self.path.exists() and self.would_know()))
    @rule()
    def crash(self) -> None:
        self.unacknowledged = None
        self.trail.close()
        self.trail = Trail(self.path, Position.decode(self.position))

    def look(self, limit: int) -> bool:
        look = self.trail.look(limit)
        if look.block.data or not look.more:
            self.acknowledge()
            lines = [line for line in look.block.data.split(b"\n") if line]
            self.unacknowledged = lines, self.trail.position(b"").encode()
        return look.more

    def acknowledge(self) -> None:
        if self.unacknowledged is not None:
            lines, self.position = self.unacknowledged
            self.seen += lines
            self.unacknowledged = None

    def compare(self) -> None:
        assert len(self.seen) == len(set(self.seen)), "a line twice"
        if not self.late:
            assert self.seen == [line for _, line in self.written]
        for file in {file for file, _ in self.written}:
            lines = [line for at, line in self.written if at == file]
            assert [line for line in self.seen if line in set(lines)] == lines

    def is_known(self) -> bool:
        """Whether we have the live file open: else nothing tells its copy from a file that was renamed, to which its
        writer would have added the rest of a half line."""
        opened = self.trail.current
        return opened is not None and opened.identity[1] == self.path.stat().st_ino

    def reads_a_copy(self) -> bool:
        kept = Position.decode(self.position).current
        return kept is not None and kept.copy_of is not None

    def would_know(self) -> bool:
        """Whether a new start would know that too."""
        kept, inode = Position.decode(self.position).current, self.path.stat().st_ino
        if kept is None:
            return False
        return (kept.copy_of or (0, 0))[1] == inode or (kept.inode == inode and kept.offset > 0)

    def write(self, path: Path, content: bytes) -> None:
        with path.open("ab") as log:
            log.write(content)
        self.stamp(path)

    def stamp(self, path: Path) -> None:
        """Later than all before: the system's own stamps may be the same for all that is done within 4 ms."""
        self.tick += 1
        os.utime(path, (self.tick, self.tick))

    def line(self, width: int) -> bytes:
        self.number += 1
        return b"%06d " % self.number + b"x" * width

    def shift(self) -> None:
        self.file += 1
        for number, path in sorted(self.rotated(), reverse=True):
            rest = path.name.removeprefix(f"mail.log.{number}")
            path.rename(self.folder / f"mail.log.{number + 1}{rest}")

    def rotated(self) -> list[tuple[int, Path]]:
        """The rotated files with their numbers."""
        return [(int(path.name.split(".")[2]), path) for path in self.folder.iterdir() if path != self.path]

    def teardown(self) -> None:
        if hasattr(self, "trail"):
            self.read_all()
            self.trail.close()
            shutil.rmtree(self.folder)


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=60, stateful_step_count=30, suppress_health_check=list(HealthCheck))
