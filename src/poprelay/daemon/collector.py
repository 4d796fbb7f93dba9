"""Keeps what is large out of the garbage collector's sight: each look at a million addresses would hold up lookups."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unseen() -> Iterator[None]:
    """What is made within, and all else that is there, the collector never looks at again. It goes as ever when nobody
    refers to it any more, but not if it is part of a cycle: so do not wait within, and the cycles that are there are
    cleared away first."""
    gc.collect()
    yield
    gc.freeze()
