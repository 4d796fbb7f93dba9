"""Keeps what is large out of the garbage collector's sight: each look at a million addresses would hold up lookups."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def put_aside() -> None:
    """The collector never looks again at what is there now, which goes as ever when nobody refers to it any more, but
    not if it is part of a cycle: so the cycles that are there are cleared away first."""
    gc.collect()
    gc.freeze()


def look_at_new() -> None:
    """The collector looks at what is new, now; call this after each batch. By itself it looks when some hundred more
    were made than went. Where what is new takes the place of what was, both are many and alike, and it would look
    late, at a hundred thousand at one go."""
    gc.collect(0)


@contextmanager
def kept_away() -> Iterator[None]:
    """It looks at nothing while this lasts, and never again at what is there in the end: to load what is large, where
    it would look over and over at what is no garbage, or to make it. Do not wait within."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
