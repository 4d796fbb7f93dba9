"""The keeper among many: who stops waiting, who asks at the same time, who fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from poprelay.daemon import keeper as module
from poprelay.daemon.keeper import Keeper
from poprelay.ledger.ledger import Ledger
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import (
    Absent,
    Address,
    Allowed,
    Change,
    GrantKey,
    Revocation,
)

HOME = Address("9.9.9.9")
OFFICE = Address("8.8.4.4")
ANN = GrantKey(HOME, "ann", "login")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.005)


def revoke(keeper: Keeper, address: Address | None = HOME, user: str | None = None) -> list[Change]:
    order = Revocation(f"{keeper.clock.now()}", keeper.clock.now(), "root", address, user, "")
    return keeper.shut(lambda draft: draft.revoke(order))


def expire(keeper: Keeper) -> list[Change]:
    return keeper.shut(lambda draft: draft.expire())


def allowed(keeper: Keeper, address: Address = HOME) -> bool:
    return isinstance(keeper.find(address), Allowed)


async def test_who_stops_waiting_for_an_opening_does_not_leave_it_half_done(
    keeper: Keeper, store: Any, batch: Any, login: Any
) -> None:
    begin: list[Callable[[], Coroutine[None, None, object]]] = [
        lambda: keeper.take("log", batch(login())),
        lambda: keeper.open(lambda draft: draft.allow(OFFICE, "bob")),
    ]
    for number, beginning in enumerate(begin, start=1):
        store.hold()
        waiting = asyncio.create_task(beginning())
        while store.asked < number:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        store.release()
        await keeper.idle()
        assert len(store.rows.grants) == number
    assert allowed(keeper, HOME)
    assert allowed(keeper, OFFICE)
    assert keeper.positions["log"] == b"1"


@pytest.mark.parametrize("breath", range(8))
async def test_cancelled_at_any_moment_what_is_seen_is_what_is_stored(
    keeper: Keeper, store: Any, batch: Any, login: Any, clock: Any, breath: int
) -> None:
    await keeper.take("log", batch(login(OFFICE, "bob")))
    clock.at += 1
    waiting = [
        asyncio.create_task(keeper.take("log", batch(login(), position=b"2"))),
        asyncio.create_task(keeper.open(lambda draft: draft.allow(HOME, "eve"))),
        asyncio.create_task(keeper.flush()),
    ]
    for _ in range(breath):
        await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    revoke(keeper, OFFICE)
    await asyncio.wait(waiting)
    await keeper.idle()
    assert await keeper.durable()
    assert set(store.rows.grants) == {grant.key for grant in keeper.ledger.grants(clock.at)}
    assert not allowed(keeper, OFFICE)
    assert store.rows.positions["log"] == keeper.positions["log"]


async def test_a_listener_that_fails_keeps_no_closing_from_the_store(
    keeper: Keeper, store: Any, batch: Any, login: Any
) -> None:
    await keeper.take("log", batch(login()))

    def fail(change: Change) -> None:
        raise KeyError("oops")

    keeper.listeners.add(fail)
    with pytest.raises(KeyError):
        revoke(keeper)
    assert not allowed(keeper)
    assert await keeper.durable()
    assert store.rows.grants == {}


async def test_many_orders_at_once_leave_store_and_ledger_equal(
    keeper: Keeper, store: Any, batch: Any, login: Any, clock: Any
) -> None:
    async def churn(number: int) -> None:
        address = Address(f"9.9.{number}.9")
        await keeper.take(f"log{number}", batch(login(address, f"u{number}")))
        await keeper.open(lambda draft: draft.allow(address, "printer"))
        if number % 3 == 0:
            revoke(keeper, address)
        await keeper.take(f"log{number}", batch(position=b"2"))

    await asyncio.gather(*(churn(number) for number in range(30)))
    assert await keeper.durable()
    await keeper.flush()
    live = {grant.key for grant in keeper.ledger.grants(clock.at)}
    assert len(live) == 40
    assert set(store.rows.grants) == live
    assert store.rows.positions == keeper.positions


async def test_judging_again_waits_for_the_batch_that_is_under_way(
    keeper: Keeper, store: Any, batch: Any, login: Any, eventually: Any
) -> None:
    store.hold()
    taking = asyncio.create_task(keeper.take("log", batch(login())))
    await eventually(lambda: store.asked)
    keeper.ledger.replace(keeper.ledger.terms, Rules(RuleTerms(deny_users=frozenset({"ann"}))))
    judging = asyncio.create_task(keeper.retune())
    await asyncio.sleep(0.01)
    assert not judging.done()
    store.release()
    await asyncio.gather(taking, judging)
    assert keeper.changes["closed", "config"] == 1
    assert not allowed(keeper)
    assert store.rows.grants == {}


async def test_lookups_get_a_turn_while_all_is_judged_and_are_answered_by_the_new_config(
    keeper: Keeper, store: Any, batch: Any, login: Any
) -> None:
    await keeper.take("log", batch(*(login(f"9.9.9.{n}", f"u{n}") for n in range(1, 101))))
    denied = frozenset(f"u{n}" for n in range(1, 101, 2))
    keeper.ledger.replace(keeper.ledger.terms, Rules(RuleTerms(deny_users=denied)))
    judging = asyncio.create_task(keeper.retune(10))
    turns = 0
    while not judging.done():
        assert isinstance(keeper.find(Address("9.9.9.99")), Absent)
        assert isinstance(keeper.find(Address("9.9.9.98")), Allowed)
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10
    assert keeper.changes["closed", "config"] == 50
    assert len(store.rows.grants) == len(keeper.ledger) == 50


async def test_what_is_closed_while_a_commit_runs_is_committed_together(
    keeper: Keeper, store: Any, batch: Any, login: Any
) -> None:
    await keeper.take("log", batch(*(login(f"9.9.9.{n}", f"u{n}") for n in range(1, 6))))
    store.hold()
    for n in range(1, 6):
        revoke(keeper, Address(f"9.9.9.{n}"))
        await asyncio.sleep(0)
    store.release()
    assert await keeper.durable()
    assert store.asked == 3
    assert store.rows.grants == {}


async def test_a_clock_that_is_set_back_is_dealt_with_in_pieces_while_logins_go_on(
    keeper: Keeper, store: Any, batch: Any, login: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 10)
    await keeper.take("log", batch(*(login(f"9.9.9.{n}", f"u{n}") for n in range(1, 36))))
    clock.at -= 3600
    keeper.set_back()
    assert isinstance(keeper.find(Address("9.9.9.1")), Absent), "what has too much time left is not live"
    assert keeper.clamp()
    await keeper.take("log", batch(login("9.9.8.1", "new"), login("9.9.9.35", "u35")))
    while keeper.clamp():
        pass
    period = keeper.ledger.terms.period
    ends = {grant.address: grant.until for grant in keeper.ledger.grants(clock.at)}
    assert ends == {**{f"9.9.9.{n}": clock.at + period for n in range(1, 36)}, "9.9.8.1": clock.at + period}
    assert await keeper.durable()
    assert {grant.until for grant in store.rows.grants.values()} == {clock.at + period}


async def test_what_a_wipe_owes_a_slow_store_is_committed_in_groups(
    keeper: Keeper, store: Any, batch: Any, login: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOGETHER", 3)
    await keeper.take("log", batch(*(login(f"9.9.9.{n}", f"u{n}") for n in range(1, 101))))
    clock.at += 2
    store.hold()
    asked, written = store.asked, len(store.records)
    await keeper.wipe(Revocation("w", clock.at, "root", None, None, ""), 10)
    store.release()
    assert await keeper.durable()
    assert len(store.records) - written == 11, "the order, and ten pieces"
    assert store.asked - asked >= 4
    assert not store.rows.grants


async def test_a_wipe_holds_at_once_and_after_a_crash_though_grants_are_closed_in_pieces(
    keeper: Keeper, store: Any, batch: Any, login: Any, clock: Any
) -> None:
    await keeper.take("log", batch(*(login(f"9.9.9.{n}", f"u{n}") for n in range(1, 101))))
    clock.at += 2
    order = Revocation("w", clock.at, "root", None, None, "")
    wiping = asyncio.create_task(keeper.wipe(order, 10))
    while keeper.ledger.wiped_at < clock.at:
        await asyncio.sleep(0)
    assert len(keeper.ledger) > 50, "most are there"
    assert not any(allowed(keeper, Address(f"9.9.9.{n}")) for n in range(1, 101))
    assert list(keeper.ledger.grants(clock.at)) == []
    while order.id not in store.rows.revocations:
        await asyncio.sleep(0)
    clock.at += 2
    last = str([*keeper.ledger.addresses()][-1])
    await keeper.take("log", batch(login(last, "back"), login(last, "u" + last[6:])))
    crashed = Keeper(Ledger(keeper.ledger.terms, keeper.ledger.rules), store, clock)
    crashed.ledger.load(store.rows.snapshot(), clock.at)
    assert {grant.user for grant in crashed.ledger.grants(clock.at)} == {"back", "u" + last[6:]}
    pieces = await wiping
    assert sum(map(len, pieces)) == 99, "the last was closed by its own login"
    assert max(map(len, pieces)) == 10
    assert keeper.changes["closed", "wiped"] == 100
    assert await keeper.durable()
    assert {grant.user for grant in store.rows.grants.values()} == {"back", "u" + last[6:]}
    assert len(keeper.ledger) == 2
    await crashed.retune()
    assert len(crashed.ledger) == 2
    assert crashed.changes["closed", "config"] == 0


async def test_closing_finishes_what_is_under_way(
    keeper: Keeper, store: Any, batch: Any, login: Any, eventually: Any
) -> None:
    store.hold()
    taking = asyncio.create_task(keeper.take("log", batch(login())))
    await eventually(lambda: store.asked)
    await keeper.take("quiet", batch(position=b"7"))
    closing = asyncio.create_task(keeper.close())
    await asyncio.sleep(0.01)
    store.release()
    await asyncio.gather(taking, closing)
    assert ANN in store.rows.grants
    assert store.rows.positions == {"log": b"1", "quiet": b"7"}


async def test_lookups_get_a_turn_within_a_big_batch(keeper: Keeper, batch: Any, login: Any) -> None:
    turns: list[int] = []

    async def look() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await keeper.take("log", batch(*(login(f"9.9.{n // 250}.{n % 250 + 1}", f"u{n}") for n in range(2_000))))
    looking.cancel()
    assert len(turns) >= 2_000 / module.PIECE
