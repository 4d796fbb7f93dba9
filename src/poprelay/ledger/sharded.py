"""A mapping for millions of keys that holds nobody up: one dict of a million would, whenever it has to grow, and so
would a list of its keys, or a look of the garbage collector at all its keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SHARDS: Final = 1024
"""How many dicts there are: enough that one has about a thousand keys where there are a million."""
_SHIFT: Final = sys.hash_info.width - 24  # to other bits than those by which a dict places its keys
_MASK: Final = SHARDS - 1


def shard_of(key: object) -> int:
    """The number of its dict."""
    return hash(key) >> _SHIFT & _MASK


class Shard(dict[K, V]):
    """One of the dicts. Of a subclass, so that the collector knows it while it is empty: what it has been told to leave
    alone before (`gc.freeze`) it leaves alone whatever is put in later."""

    __slots__ = ()


class Sharded(Generic[K, V]):
    """As a dict; each key has its `shard`, which does all that a dict does with that key."""

    __slots__ = ("shards",)

    def __init__(self) -> None:
        self.shards: Final[tuple[Shard[K, V], ...]] = tuple(Shard() for _ in range(SHARDS))

    def shard(self, key: K) -> Shard[K, V]:
        """Where this key is, if it is here; and always will be."""
        return self.shards[hash(key) >> _SHIFT & _MASK]  # as `shard_of`, without a call

    def get(self, key: K) -> V | None:
        """The value of this key; None if it has none."""
        return self.shards[hash(key) >> _SHIFT & _MASK].get(key)

    def __contains__(self, key: K) -> bool:
        return key in self.shard(key)

    def __iter__(self) -> Iterator[K]:
        """The keys. Between two of them others may come and go: those that are there all the time are all given."""
        for shard in self.shards:
            yield from tuple(shard)

    def __len__(self) -> int:
        return sum(map(len, self.shards))

    def values(self) -> Iterator[V]:
        """All values, while nothing changes."""
        return chain.from_iterable(shard.values() for shard in self.shards)
