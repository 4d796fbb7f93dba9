"""What tests of sources read with: a scanner that forgets nothing, and a clock that stands still."""

from __future__ import annotations

from poprelay.address import host
from poprelay.clock import Clock
from poprelay.model import Instant, Login, Origin
from poprelay.scan import Scanned
from poprelay.sources import Batch

NOW = 1_800_000_000.0
ADDRESS = host("192.0.2.7")


class Noon(Clock):
    """Always the same instant."""

    def now(self) -> Instant:
        return NOW


class EveryLine:
    """A scanner that takes every line for a login of the user whose name it is; its state is how many it has seen."""

    def __init__(self) -> None:
        self.seen = 0
        self.asked: list[tuple[Instant, Instant]] = []
        """For each block the time of reading, and the horizon."""

    def scan(self, block: bytes, *, now: Instant, horizon: Instant) -> Scanned:
        users = [line.decode(errors="surrogateescape") for line in block.split(b"\n") if line]
        self.seen += len(users)
        self.asked.append((now, horizon))
        logins = [Login(now, user, ADDRESS, "imap", None, None, "every", Origin("log", "")) for user in users]
        return Scanned(block, [*logins], begins=[], unmatched=block.count(b"?"), missed=[], newest=now - 60)

    def state(self) -> bytes:
        return b"%d" % self.seen

    def restore(self, state: bytes) -> None:
        self.seen = int(state)


def users(*batches: Batch) -> list[str | None]:
    """Who logged in."""
    return [event.user for batch in batches for event in batch.events]
