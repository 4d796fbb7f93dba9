"""What a source asks of a scanner, and how what the scanner saw becomes a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from zoneinfo import ZoneInfo

from poprelay.agents.base import Agent
from poprelay.model import Instant
from poprelay.scan import Scanned, Scanner
from poprelay.sources import Batch
from poprelay.sources.lines import Block

if TYPE_CHECKING:
    from poprelay.config.section import Section

DAY: Final = 86_400.0
"""Seconds by which a stamp without a year may be later than the last write to its log."""


class Scanning(Protocol):
    """Turns blocks of whole lines into events, and remembers what it must from one to the next."""

    def scan(self, block: bytes, *, now: Instant, horizon: Instant) -> Scanned: ...

    def state(self) -> bytes: ...

    def restore(self, state: bytes) -> None:
        """Raises ValueError if that is no state."""
        ...


MakeScanner: TypeAlias = Callable[[], Scanning]
"""A fresh scanner for each time that a source begins to read."""


def scanned_batch(
    scanner: Scanning,
    block: Block,
    *,
    now: Instant,
    modified: Instant | None,
    position: Callable[[], bytes],
    caught_up: bool,
) -> Batch:
    """Scan a block that was read at `now` from a log that was last written at `modified` (None: now).

    `position` is asked afterwards, when the scanner's own state is that after the block.
    """
    horizon = (now if modified is None else modified) + DAY
    scanned = scanner.scan(block.data, now=now, horizon=horizon)
    return Batch(
        events=tuple(scanned.events),
        position=position(),
        read_at=now,
        caught_up=caught_up,
        lines=scanned.lines,
        cut=block.cut,
        unmatched=scanned.unmatched,
        newest=scanned.newest,
    )


def scanner_from_section(section: Section, agents: Sequence[Agent], name: str) -> MakeScanner:
    """Reads `hosts` and `timezone`, which mean the same for every log of lines."""
    hosts = section.texts("hosts", (), once=True)
    zone = None
    if section.given("timezone"):
        key = section.text("timezone")
        try:
            zone = ZoneInfo(key)
        except (OSError, ValueError, KeyError):  # KeyError: the database has no such name
            section.refuse("timezone", f"no time zone is called {key!r}", 'use a name like "Europe/Vienna" or "UTC"')
    return lambda: Scanner(agents, source=name, zone=zone, hosts=hosts)
