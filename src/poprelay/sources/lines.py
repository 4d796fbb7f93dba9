"""Whole lines out of a stream of bytes, in bounded memory, whatever the stream holds.

A line over `LONGEST` bytes is cut: nothing of it is kept, and an empty line stands in its place, so that line numbers
stay right and no truncated line can ever be taken for a login. NUL bytes at the start of a line are dropped: they are
what a truncation under a writer without O_APPEND, or a power failure, leaves before the next real line.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

LONGEST: Final = 64 * 1024
"""Bytes of a line, its newline not counted, beyond which it is cut."""

_PIECE: Final = 1024 * 1024
"""Bytes of a piece of memory; blocks need less. Without that, each would be faulted in anew, which takes as long as
reading it."""
_HOLES: Final = re.compile(rb"^\0+", re.MULTILINE)


class Block(msgspec.Struct, frozen=True, gc=False):
    """Whole lines, each with its newline, and how many of them were cut (an empty line stands for each)."""

    data: bytes
    cut: int = 0


class Lines:
    """What is between two reads: a partial last line, or that a line over the limit is being skipped."""

    def __init__(self, partial: bytes = b"", *, skipping: bool = False) -> None:
        bytes(_PIECE)  # given back at once: glibc keeps more for the next block from then on, see mallopt(3)
        self.partial = partial
        self.skipping = skipping

    def feed(self, data: bytes) -> Block:
        """The whole lines that are complete now; the rest waits.

        >>> lines = Lines()
        >>> lines.feed(b"one" + bytes([10]) + b"tw").data, lines.partial
        (b'one\\n', b'tw')
        >>> lines.feed(b"o" + bytes([10])).data, lines.partial
        (b'two\\n', b'')
        """
        cut = 0
        if self.skipping:
            end = data.find(b"\n")
            if end < 0:
                return Block(b"")
            self.skipping = False
            data, cut = data[end:], 1
        end = data.rfind(b"\n") + 1
        if not end:
            whole, rest = b"", self.partial + data
        else:
            whole, rest = b"".join((self.partial, memoryview(data)[:end])), data[end:]  # copied once
        if b"\0" in whole or b"\0" in rest:
            whole, rest = _HOLES.sub(b"", whole), rest.lstrip(b"\0")
        if len(rest) > LONGEST:
            self.skipping, rest = True, b""
        self.partial = rest
        whole, more = _cut(whole)
        return Block(whole, cut + more)

    def finish(self) -> Block:
        """The unterminated last line as if it were whole; only for a stream that has ended, and is trusted so far."""
        unterminated = bool(self.partial) or self.skipping
        return self.feed(b"\n") if unterminated else Block(b"")


def _cut(block: bytes) -> tuple[bytes, int]:
    """The block with every line over the limit emptied, and how many there were."""
    kept: list[bytes] = []
    start = copied = 0
    while start < len(block):
        end = block.rfind(b"\n", start, start + LONGEST + 1)
        if end < 0:
            end = block.index(b"\n", start)
            kept.append(block[copied:start])
            copied = end
        start = end + 1
    if not kept:
        return block, 0
    return b"".join([*kept, block[copied:]]), len(kept)
