"""Keeps what is large out of the garbage collector's sight: each look at a million addresses would hold up lookups."""

from __future__ import annotations

import gc


def put_aside() -> None:
    """The collector never looks again at what is there now, which goes as ever when nobody refers to it any more, but
    not if it is part of a cycle: so the cycles that are there are cleared away first."""
    gc.collect()
    gc.freeze()
