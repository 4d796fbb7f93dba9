"""What one block held. Lines are counted only for who asks: counting takes as long as finding the logins."""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate, repeat
from typing import Final

from poprelay.model import Event, Instant


class Scanned:
    """What a block held."""

    def __init__(
        self,
        block: bytes,
        events: list[Event],
        *,
        begins: list[int],
        unmatched: int,
        missed: list[int],
        newest: Instant | None,
    ) -> None:
        self.events: Final = events
        self.unmatched: Final = unmatched
        """How many lines look like a login to an agent but match nothing."""
        self.newest: Final = newest
        """The stamp of the last line, if it has one."""
        self._block: Final = block
        self._begins: Final = begins
        self._missed: Final = missed

    @cached_property
    def lines(self) -> int:
        """How many lines the block has; a last one may lack its newline."""
        block = self._block
        # two passes of memchr and memcpy, and faster than bytes.count, which looks at one byte at a time
        return len(block) - len(block.replace(b"\n", b"")) + (block[-1:] not in {b"\n", b""})

    @cached_property
    def numbers(self) -> list[int]:
        """For each event the index in the block, from 0, of the line that completed it."""
        return _numbers(self._block, self._begins)

    @cached_property
    def near_misses(self) -> list[tuple[int, bytes]]:
        """The lines that `unmatched` counts, each with its index; none if the scanner was not asked to keep them."""
        lines = (_line(self._block, begin) for begin in self._missed)
        return list(zip(_numbers(self._block, self._missed), lines, strict=True))


def _numbers(block: bytes, begins: list[int]) -> list[int]:
    """For each place where a line begins, how many lines stand before it."""
    return list(accumulate(map(block.count, repeat(b"\n"), [0, *begins], begins)))


def _line(block: bytes, begin: int) -> bytes:
    end = block.find(b"\n", begin)
    return block[begin:] if end < 0 else block[begin:end]
