"""When grants end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, TypeAlias

from poprelay.ledger.record import Key
from poprelay.ledger.sharded import SHARDS, shard_of
from poprelay.model import Address, Basis, Instant

Entry: TypeAlias = tuple[Instant, Address, str, Basis]
"""When, and the grant's key."""

_SPARE: Final = 256
"""Entries that a heap may have in any case before it is made anew."""
_LOOKS: Final = 500
"""Entries that are brought up to date at one look for the next end."""


class Schedule:
    """Has an entry for each grant that ends, not later than its end. What is renewed or closed keeps its entry: that is
    put right when its time comes, or when so many were added that there may be too many.

    Many small heaps, so that to make one of them anew holds nobody up. `ends` says when a grant ends; None if there is
    none.
    """

    __slots__ = ("_ends", "_first", "_heaps", "_limits", "_order")

    def __init__(self, ends: Callable[[Key], Instant | None]) -> None:
        self._ends = ends
        self._heaps: Final[tuple[list[Entry], ...]] = tuple([] for _ in range(SHARDS))
        self._limits = [_SPARE] * SHARDS
        """How long each may get before it is made anew."""
        self._order: list[tuple[Instant, int]] = []
        """A heap of when each heap begins. What differs from `_first` is obsolete, and so is all but one of a kind."""
        self._first = [math.inf] * SHARDS
        """When each heap begins, or earlier."""

    def fill(self, entries: Iterable[Entry]) -> None:
        """Begin with these: it is quicker than to add each."""
        heaps = self._heaps
        for entry in entries:
            heaps[shard_of(entry[1])].append(entry)
        for number, heap in enumerate(heaps):
            if heap:
                self._settle(number)

    def add(self, at: Instant, key: Key) -> None:
        """See to it that there is an entry not later than `at`."""
        number = shard_of(key[0])
        heap = self._heaps[number]
        heappush(heap, (at, *key))
        if at < self._first[number]:
            self._begins(number, at)
        if len(heap) > self._limits[number]:
            self._make_anew(number)

    def due(self, now: Instant) -> Iterator[Key]:
        """The grants whose entries are due, in the order in which `next_end` comes to them and clears away those that
        are gone. One may be there twice, and may end later. Nothing is taken away here: who is not closed is due again.
        """
        if self._start() > now:
            return
        ahead = [(heap[0][0], number, heap[0], 0) for number, heap in enumerate(self._heaps) if heap]
        heapify(ahead)
        while ahead:
            at, number, entry, place = heappop(ahead)
            if at > now:
                return
            heap = self._heaps[number]
            for below in (2 * place + 1, 2 * place + 2):
                if below < len(heap):
                    heappush(ahead, (heap[below][0], number, heap[below], below))
            yield entry[1:]

    def next_end(self) -> Instant | None:
        """When the next grant ends, or earlier; None if none ever does. Costs little, however many were renewed."""
        for _ in range(_LOOKS):
            if self._start() == math.inf:
                return None
            number = self._order[0][1]
            heap = self._heaps[number]
            entry = heap[0]
            end = self._ends(entry[1:])
            if end is None:
                heappop(heap)
            elif end == entry[0]:
                return end
            else:
                heapreplace(heap, (end, *entry[1:]))
                self._begins(number, heap[0][0])
        start = self._start()
        return None if start == math.inf else start

    def __len__(self) -> int:
        """How many entries there are."""
        return sum(map(len, self._heaps))

    def _start(self) -> Instant:
        """When the first entry of all is; infinite if there is none. Its heap is the first of `_order` then."""
        while self._order:
            at, number = self._order[0]
            heap = self._heaps[number]
            begins = heap[0][0] if heap else math.inf
            if at == begins == self._first[number]:
                return at
            heappop(self._order)
            if at == self._first[number]:
                self._first[number] = math.inf
                self._begins(number, begins)
        return math.inf

    def _begins(self, number: int, at: Instant) -> None:
        """This heap begins at this time, if not earlier."""
        if at < self._first[number]:
            self._first[number] = at
            heappush(self._order, (at, number))
            if len(self._order) > 4 * SHARDS:
                self._order = [(first, number) for number, first in enumerate(self._first) if first < math.inf]
                heapify(self._order)

    def _make_anew(self, number: int) -> None:
        """Each grant once, at its present end."""
        heap = self._heaps[number]
        ends = {entry[1:]: self._ends(entry[1:]) for entry in heap}
        heap[:] = [(end, *key) for key, end in ends.items() if end is not None]
        self._settle(number)

    def _settle(self, number: int) -> None:
        """This heap holds what it shall, in no order yet."""
        heap = self._heaps[number]
        heapify(heap)
        self._begins(number, heap[0][0] if heap else math.inf)
        self._limits[number] = 4 * len(heap) + _SPARE
