"""A stream as a network or a file gives it: in pieces that end anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st

PLACES = st.lists(st.integers(0, 2000), max_size=12)
"""Where to cut, for `cut`."""


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces, none of them empty.

    >>> cut(b"abcd", [3, 1]), cut(b"", [7])
    ([b'a', b'bc', b'd'], [])
    """
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]
