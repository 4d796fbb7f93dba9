"""Whose word on open sessions counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from unittest.mock import Mock

import pytest

from ledger.desk import HOME, HOUR, PERIOD, login, logout
from poprelay.clock import Clock
from poprelay.daemon.follower import Follower
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.publisher import Publisher
from poprelay.daemon.sessiontrust import AWAY, SessionTrust
from poprelay.errors import SourceError
from poprelay.sources import Batch


class TurnedClock(Clock):
    """Both clocks go on only when the test turns them."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0
        self.up = 500.0
        super().__init__()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.up


class Told:
    """A source that brings what it is told to, and fails at the end of it."""

    name = "mail.log"

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Batch | None] = asyncio.Queue()
        self.condition = "following"

    def state(self) -> dict[str, object]:
        return {"state": self.condition}

    async def batches(self, _position: bytes | None, *, at_end: bool = False) -> AsyncIterator[Batch]:
        assert not at_end
        while (batch := await self.queue.get()) is not None:
            yield batch
        raise SourceError("it is gone")


@pytest.fixture
def turned() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def follower(told: Told, keeper: Keeper, turned: TurnedClock) -> Follower:
    keeper.clock = turned
    return Follower(told, keeper)


def nothing(*, caught_up: bool) -> Batch:
    return Batch(events=(), position=b"1", read_at=0.0, caught_up=caught_up)


async def said(told: Told, *batches: Batch | None) -> None:
    for batch in batches:
        told.queue.put_nowait(batch)
    while not told.queue.empty():
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_source_is_trusted_while_it_is_read_up_to_now_and_a_moment_longer(
    told: Told, keeper: Keeper, follower: Follower, turned: TurnedClock
) -> None:
    trust = SessionTrust(keeper, ["mail.log"], turned.at - HOUR)
    followers = {"mail.log": follower}

    def looked() -> tuple[bool, frozenset[str] | None]:
        return trust.look(["mail.log"], followers), keeper.ledger.read_sources

    running = asyncio.create_task(follower.run(lambda: None))
    await said(told, nothing(caught_up=False))
    assert looked() == (False, frozenset())
    await said(told, nothing(caught_up=True))
    turned.up += HOUR
    assert looked() == (True, frozenset({"mail.log"})), "nothing comes because nothing is logged"
    await said(told, nothing(caught_up=False))
    turned.up += AWAY - 1
    assert looked() == (False, frozenset({"mail.log"})), "what is busy is not read up to now, but was a moment ago"
    turned.up += 2
    assert looked() == (False, frozenset()), "it has not caught up for long"
    await said(told, nothing(caught_up=True))
    assert looked()[0]
    told.condition = "hanging"
    turned.up += AWAY + 1
    assert not looked()[0]
    told.condition = "following"
    assert looked()[0]
    await said(told, None)
    with pytest.raises(SourceError):
        await running
    assert looked()[0]
    turned.up += AWAY + 1
    assert not looked()[0], "it has failed"


async def test_what_waits_to_be_committed_is_not_read_yet(
    told: Told, follower: Follower, turned: TurnedClock, store: Any, batch: Callable[..., Batch], eventually: Any
) -> None:
    running = asyncio.create_task(follower.run(lambda: None))
    await said(told, nothing(caught_up=True))
    store.hold()
    await said(told, batch(login(at=turned.at)))
    await eventually(lambda: store.asked)
    turned.up += HOUR
    assert follower.current_at() == turned.up - HOUR
    store.release()
    await eventually(lambda: follower.current_at() == turned.up)
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize(("ago", "trusted"), [(5.0, True), (AWAY + 1, False), (-HOUR, False)])
def test_at_the_start_those_are_trusted_that_a_daemon_read_a_moment_ago(
    ago: float, trusted: bool, keeper: Keeper, turned: TurnedClock
) -> None:
    keeper.clock = turned
    trust = SessionTrust(keeper, ["a", "b"], turned.at - ago)
    assert keeper.ledger.read_sources == (frozenset({"a", "b"}) if trusted else frozenset())
    turned.up += AWAY - 4
    assert not trust.look(["a", "b"], {})
    assert keeper.ledger.read_sources == frozenset()


def test_a_source_that_the_config_has_no_more_is_not_trusted(keeper: Keeper, turned: TurnedClock) -> None:
    keeper.clock = turned
    trust = SessionTrust(keeper, ["a", "b"], turned.at)
    assert trust.look(["b"], {})
    assert keeper.ledger.read_sources == frozenset({"b"})


async def test_maps_follow_when_a_source_is_trusted_or_not(
    keeper: Keeper, turned: TurnedClock, memory_map: Callable[[], Any], batch: Callable[..., Batch], eventually: Any
) -> None:
    clock = keeper.clock = turned
    trust = SessionTrust(keeper, ["mail.log"], clock.at)

    def look(*, read: bool) -> None:
        """Look at a source that is read up to now, or was not for long."""
        clock.up += 0.0 if read else AWAY
        trust.look(["mail.log"], {"mail.log": Mock(current_at=lambda: clock.up if read else None)})

    target = memory_map()
    publisher = Publisher(target, keeper.ledger, clock.now)
    keeper.publishers.append(publisher)
    running = asyncio.create_task(publisher.run(lambda: None))
    await publisher.settled()
    now = clock.now()
    await keeper.take(
        "mail.log",
        batch(login("bob", at=now, session="b"), logout("b", at=now), login("ann", HOME, at=now, session="a")),
    )
    look(read=True)
    clock.at += 2 * PERIOD
    keeper.expire()
    await publisher.settled()
    assert target.held == {HOME}
    look(read=False)
    await eventually(lambda: target.held == set())
    look(read=True)
    await eventually(lambda: target.held == {HOME})
    again = login("ann", HOME, at=clock.at, session="c")
    await keeper.take("mail.log", Batch(events=(again,), position=b"2", read_at=clock.at, caught_up=True))
    look(read=False)
    await asyncio.sleep(0.01)
    assert target.held == {HOME}, "her period runs"
    clock.at += PERIOD
    assert keeper.expire() == []
    look(read=False)
    await eventually(lambda: target.held == set())
    await trust.stop()
    running.cancel()
    await asyncio.wait([running])
    await publisher.close()
