"""What the tests of the daemon share: a keeper whose store can be held up and can fail, and a map in memory."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, TypeAlias

import pytest

from daemon.house import House
from ledger.desk import PERIOD, START, Rows
from poprelay.clock import Clock
from poprelay.daemon.keeper import Keeper
from poprelay.errors import MapError, StoreError
from poprelay.ledger.ledger import Ledger, Terms
from poprelay.ledger.record import Record
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.maps import Entry
from poprelay.model import Address, Event, Instant, Login, Origin
from poprelay.sources import Batch

Eventually: TypeAlias = Callable[[Callable[[], object]], Awaitable[None]]


class TurnedClock(Clock):
    """A wall clock that only the test turns."""

    def __init__(self) -> None:
        self.at = START
        super().__init__()

    def now(self) -> Instant:
        return self.at


class SlowStore:
    """In the place of the writer: commits wait while `hold()` is on, and fail while `broken` says why."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.records: list[Record] = []
        self.asked = 0
        self.broken: Exception | None = None
        self._turn = asyncio.Lock()
        self._free = asyncio.Event()
        self._free.set()

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    async def commit(self, *records: Record) -> None:
        self.asked += 1
        async with self._turn:  # in the order of the calls
            await self._free.wait()
            await asyncio.sleep(0)
            if self.broken is not None:
                raise self.broken
            self.records += records
            for record in records:
                self.rows.write(record)


class MemoryMap:
    """A map that is a set, and a list of what was asked of it; a change waits for `interval`, and fails if told to."""

    expresses_networks: ClassVar[bool] = False
    wants_renewals: ClassVar[bool] = False

    def __init__(self, *held: str, interval: float = 0.0) -> None:
        self.name = "memory"
        self.interval = interval
        self.held = set(held)
        self.asked: list[tuple[list[str], list[str]]] = []
        """Of each change, what was added and what removed."""
        self.entries: list[Entry] = []
        self.failures = 0
        self.before_change: Callable[[], None] = lambda: None

    def keys(self) -> set[str]:
        return set(self.held)

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        self.before_change()
        if self.failures:
            self.failures -= 1
            raise MapError("memory: the disk is full")
        self.asked.append(([entry.address for entry in added], sorted(removed)))
        self.entries += added
        self.held |= {entry.address for entry in added}
        self.held -= set(removed)

    def close(self) -> None:
        pass


class RenewingMap(MemoryMap):
    wants_renewals: ClassVar[bool] = True


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def keeper(store: SlowStore, clock: TurnedClock) -> Keeper:
    return Keeper(Ledger(Terms(period=PERIOD), Rules(RuleTerms())), store, clock)


@pytest.fixture
def login(clock: TurnedClock) -> Callable[..., Login]:
    """Makes the login of a user at an address, now."""

    def make(address: str = "9.9.9.9", user: str = "ann", *, at: Instant | None = None) -> Login:
        when = clock.at if at is None else at
        return Login(when, user, Address(address), "pop3", None, None, "dovecot", Origin("log", ""))

    return make


@pytest.fixture
def batch(clock: TurnedClock) -> Callable[..., Batch]:
    """Makes a batch of events, read now."""

    def make(*events: Event, position: bytes = b"1", caught_up: bool = True) -> Batch:
        return Batch(events=events, position=position, read_at=clock.at, caught_up=caught_up, lines=len(events))

    return make


@pytest.fixture
def disk_full() -> StoreError:
    return StoreError("the disk is full")


@pytest.fixture
def memory_map() -> Callable[..., MemoryMap]:
    return MemoryMap


@pytest.fixture
def renewing_map() -> Callable[..., MemoryMap]:
    return RenewingMap


@pytest.fixture
def eventually() -> Eventually:
    """Waits until something holds."""

    async def wait(holds: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.001)

    return wait


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name: the path of a unix socket is short."""
    made = Path(tempfile.mkdtemp(prefix="pr-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def house(place: Path) -> Iterator[House]:
    with House(place) as made:
        yield made
