"""Where events come from: a source turns what a server says into batches, and moves on when they are durable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol, runtime_checkable

import msgspec

from poprelay.model import Event, Instant


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Events that were read together, and where reading stands after them.

    `position` is opaque to all but the source: identity, offset and all reading state. `read_at` is when this host
    first read the lines. `caught_up` says that nothing more was waiting when the batch was made. `lines`, `cut` and
    `unmatched` count the lines read, those over the length limit, and those that look like a login but match nothing.
    `newest` is the stamp of the last line, if it had one.
    """

    events: tuple[Event, ...]
    position: bytes
    read_at: Instant
    caught_up: bool
    lines: int = 0
    cut: int = 0
    unmatched: int = 0
    newest: Instant | None = None


class Source(Protocol):
    """Somewhere to read events from."""

    @property
    def name(self) -> str:
        """What positions, logs and `status` call it; unique, and the same after every restart."""
        ...

    def batches(self, position: bytes | None, *, at_end: bool = False) -> AsyncIterator[Batch]:
        """Read on from `position`; None is the beginning, or the end if `at_end`.

        Asking for the next batch acknowledges the last one. Ends only where the input ends (standard input). An input
        that is missing is a state that `status` shows, not an error. Raises SourceError if it cannot be read now.
        """
        ...


@runtime_checkable
class Observable(Protocol):
    """A source that can say how it is."""

    def state(self) -> dict[str, object]:
        """For `status`: at least `state` (following, missing, waiting), and what waits: `lag`, in bytes, or
        `lag_seconds`."""
        ...


KINDS: Final[dict[str, str]] = {
    "file": "poprelay.sources.file:FileSource",
    "journal": "poprelay.sources.journal:JournalSource",
    "stdin": "poprelay.sources.stdin:StdinSource",
}
"""The built-in kinds: name in the config, and the class. Others come by the entry point `poprelay.sources`."""
