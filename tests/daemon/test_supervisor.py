"""The supervisor: what fails is started again, and what went wrong stays visible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from poprelay.clock import Clock
from poprelay.daemon import supervisor as module
from poprelay.daemon.supervisor import Supervisor
from poprelay.errors import MapError, PoprelayError


@pytest.fixture
async def supervisor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    one = Supervisor(Clock())
    yield one
    for name in ("map x", "x"):
        await one.stop(name)


async def _until(supervisor: Supervisor, name: str, condition: str) -> None:
    async with asyncio.timeout(5):
        while (health := supervisor.health(name)) is None or health.condition != condition:
            await asyncio.sleep(0.001)


async def test_a_task_that_fails_is_started_again_until_it_ends(supervisor: Supervisor) -> None:
    attempts = []

    async def run() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise MapError("the disk is full", remedy="make room")

    supervisor.start("map x", run)
    await _until(supervisor, "map x", "ended")
    assert len(attempts) == 3


async def test_the_last_failure_is_visible_with_its_remedy_until_the_task_works_again(supervisor: Supervisor) -> None:
    attempts = []

    async def run() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise MapError("the disk is full", remedy="make room")
        await asyncio.Event().wait()

    health = supervisor.start("map x", run)
    await _until(supervisor, "map x", "waiting")
    assert health.error == "the disk is full: make room"
    assert not health.well
    await _until(supervisor, "map x", "starting")
    supervisor.well("map x")
    assert health.well
    assert health.condition == "running"
    assert health.failures == 0


async def test_what_cannot_be_helped_by_trying_again_is_not_tried_again(supervisor: Supervisor) -> None:
    attempts = []

    async def run() -> None:
        attempts.append(1)
        raise PoprelayError("no")

    supervisor.start("x", run)
    await _until(supervisor, "x", "failed")
    await asyncio.sleep(0.05)
    assert attempts == [1]


async def test_a_bug_in_a_part_does_not_end_the_daemon(supervisor: Supervisor) -> None:
    async def run() -> None:
        raise KeyError("oops")

    health = supervisor.start("x", run)
    await _until(supervisor, "x", "waiting")
    assert "bug of ours" in health.error


async def test_the_pause_grows_and_is_capped(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr("poprelay.daemon.supervisor.asyncio.sleep", note)

    async def run() -> None:
        raise MapError("no")

    supervisor.start("x", run)
    while len(pauses) < 20:
        await sleep(0.001)
    assert pauses[:4] == [0.01, 0.02, 0.04, 0.08]
    assert max(pauses) == module.LONGEST_PAUSE


async def test_stopping_waits_until_the_task_has_let_go(supervisor: Supervisor) -> None:
    let_go = []

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            let_go.append(1)

    supervisor.start("x", run)
    await asyncio.sleep(0)
    await supervisor.stop("x")
    assert let_go == [1]
    assert supervisor.health("x") is None


async def test_a_task_may_ask_for_shorter_pauses_and_is_not_logged_at_each(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep, pauses, said = asyncio.sleep, [], []

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr("poprelay.daemon.supervisor.asyncio.sleep", note)
    monkeypatch.setattr(module.log, "warning", lambda *_, **fields: said.append(fields["error"]))

    async def run() -> None:
        raise MapError("another" if len(pauses) == 9 else "no")

    supervisor.start("x", run, longest=0.05)
    while len(pauses) < 16:
        await sleep(0.001)
    assert max(pauses) == 0.05
    assert said[:4] == ["no"] * 4, "the first, second, fourth and eighth"
    assert said[4:6] == ["another", "no"], "what is new is said"
