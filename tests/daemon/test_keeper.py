"""The keeper: opening is committed before it is seen, closing is seen before it is committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import structlog
from msgspec.structs import replace
from structlog.testing import capture_logs

from ledger.desk import PERIOD, said
from poprelay.daemon import keeper as module
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.publisher import Publisher
from poprelay.errors import StoreDamaged, StoreError
from poprelay.ledger.draft import Draft
from poprelay.model import (
    Absent,
    Address,
    Allowed,
    Change,
    Closed,
    GrantKey,
    Opened,
    Revocation,
    Unavailable,
)

HOME = Address("9.9.9.9")
OFFICE = Address("8.8.4.4")
ANN = GrantKey(HOME, "ann", "login")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.005)


@pytest.fixture
async def published(keeper: Keeper, memory_map: Any) -> AsyncIterator[Any]:
    """A map that the keeper's publisher keeps."""
    target = memory_map()
    publisher = Publisher(target, keeper.ledger, keeper.clock.now)
    keeper.publishers.append(publisher)
    task = asyncio.create_task(publisher.run(lambda: None))
    await publisher.settled()
    yield target
    task.cancel()
    await asyncio.wait([task])
    await publisher.close()


def revoke(
    keeper: Keeper, address: Address | None = HOME, user: str | None = None, *, reason: str = ""
) -> list[Change]:
    order = Revocation(f"{keeper.clock.now()}", keeper.clock.now(), "root", address, user, reason)
    return keeper.shut(lambda draft: draft.revoke(order))


def expire(keeper: Keeper) -> list[Change]:
    return keeper.shut(lambda draft: draft.expire())


def allowed(keeper: Keeper, address: Address = HOME) -> bool:
    return isinstance(keeper.find(address), Allowed)


async def test_nothing_of_a_login_is_seen_before_it_is_committed(
    keeper: Keeper, store: Any, login: Any, batch: Any, published: Any, eventually: Any
) -> None:
    store.hold()
    taking = asyncio.create_task(keeper.take("log", batch(login())))
    await eventually(lambda: store.asked)
    await asyncio.sleep(0.02)
    assert isinstance(keeper.find(HOME), Absent)
    assert published.held == set()
    assert "log" not in keeper.positions
    store.release()
    await taking
    assert allowed(keeper)
    assert await keeper.published()
    assert published.held == {HOME}
    assert keeper.positions["log"] == store.rows.positions["log"] == b"1"


async def test_logins_that_are_too_old_and_those_from_the_future_are_counted(
    keeper: Keeper, login: Any, batch: Any, clock: Any
) -> None:
    await keeper.take("log", batch(login(at=clock.at - PERIOD), login(at=clock.at), login(at=clock.at + 1)))
    assert (keeper.stale, keeper.skewed) == (1, 1)


async def test_what_is_closed_leaves_find_and_map_before_it_is_committed(
    keeper: Keeper, store: Any, login: Any, batch: Any, published: Any, clock: Any
) -> None:
    await keeper.take("log", batch(login()))
    assert await keeper.published()
    store.hold()
    clock.at += 1
    assert [type(change) for change in revoke(keeper)] == [Closed]
    assert isinstance(keeper.find(HOME), Absent)
    assert await keeper.published()
    assert published.held == set()
    assert ANN in store.rows.grants
    store.release()
    assert await keeper.durable()
    assert ANN not in store.rows.grants


async def test_what_the_config_no_longer_says_always_stands_is_closed_though_the_store_cannot_commit(
    keeper: Keeper, store: Any, published: Any, disk_full: StoreError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "durable", partial(keeper.durable, 0.01))
    terms = keeper.ledger.terms
    keeper.ledger.replace(replace(terms, standing={(HOME, "printer"): "", (OFFICE, "alarm"): ""}), keeper.ledger.rules)
    await keeper.retune()
    await keeper.open(Draft.stand)
    assert await keeper.published()
    assert published.held == {HOME, OFFICE}
    told: list[Change] = []
    keeper.listeners.add(told.append)
    store.broken = disk_full
    keeper.ledger.replace(replace(terms, standing={(OFFICE, "alarm"): ""}), keeper.ledger.rules)
    await keeper.retune()
    assert not allowed(keeper)
    assert await keeper.published()
    assert published.held == {OFFICE}
    assert said(told) == ["closed printer config"]
    store.broken = None
    monkeypatch.undo()
    assert await keeper.durable()
    assert [grant.user for grant in store.rows.grants.values()] == ["alarm"]
    assert said(store.rows.history) == ["opened printer", "opened alarm", "closed printer config"]


async def test_while_the_store_cannot_commit_nothing_opens_and_the_position_stands(
    keeper: Keeper, store: Any, login: Any, batch: Any, disk_full: StoreError
) -> None:
    store.broken = disk_full
    with pytest.raises(StoreError, match="nothing was opened: the disk is full"):
        await keeper.take("log", batch(login()))
    with pytest.raises(StoreError, match="nothing was opened: the disk is full"):
        await keeper.open(lambda draft: draft.allow(OFFICE, "bob"))
    assert not allowed(keeper, HOME)
    assert not allowed(keeper, OFFICE)
    assert keeper.positions == {}
    store.broken = None
    await keeper.take("log", batch(login()))
    assert allowed(keeper)
    assert not allowed(keeper, OFFICE), "the operator was told that it did not open"


async def test_what_did_not_open_is_not_said_to_be_closed(
    keeper: Keeper, store: Any, login: Any, batch: Any, disk_full: StoreError
) -> None:
    await keeper.take("log", batch(login(OFFICE, "bob")))
    store.broken = disk_full
    with pytest.raises(StoreError):
        await keeper.open(lambda draft: draft.allow(HOME, "ann"))
    assert revoke(keeper, HOME) == []
    with pytest.raises(StoreError):
        await keeper.take("log", batch(login(), login(OFFICE, "bob"), position=b"2"))
    assert revoke(keeper, HOME) == []
    assert said(revoke(keeper, None)) == ["closed bob wiped"]
    store.broken = None
    await keeper.durable()
    assert said(store.rows.history) == ["opened bob", "closed bob wiped"]
    assert store.rows.grants == {}


async def test_while_the_store_cannot_commit_expiry_and_revoking_go_on_and_are_committed_first_afterwards(
    keeper: Keeper, store: Any, login: Any, batch: Any, clock: Any, published: Any, disk_full: StoreError
) -> None:
    await keeper.take("log", batch(login(), login(OFFICE, "bob")))
    await keeper.take("log", batch(login("1.1.1.1", "eve", at=clock.at - PERIOD + 10), position=b"2"))
    done = len(store.records)
    store.broken = disk_full
    clock.at += 11
    assert len(expire(keeper)) == 1
    assert len(revoke(keeper)) == 1
    assert await keeper.published()
    assert published.held == {OFFICE}
    assert not await keeper.durable(0.05)
    with pytest.raises(StoreError):
        await keeper.take("log", batch(login("4.4.4.4"), position=b"3"))
    store.broken = None
    while not allowed(keeper, Address("4.4.4.4")):
        try:
            await keeper.take("log", batch(login("4.4.4.4"), position=b"3"))
        except StoreError:
            await asyncio.sleep(0.001)
    reasons = [
        [change.reason for change in record.history if isinstance(change, Closed)] for record in store.records[done:]
    ]
    assert reasons == [["expired"], ["revoked"], []]
    assert {grant.address for grant in store.rows.grants.values()} == {OFFICE, "4.4.4.4"}


async def test_changes_are_counted_by_our_reasons_and_not_by_the_words_of_whoever_ordered_them(
    keeper: Keeper, login: Any, batch: Any
) -> None:
    for number, address in enumerate((HOME, OFFICE, Address("10.0.0.1"))):
        await keeper.take("log", batch(login(address), position=b"%d" % number))
    closed = revoke(keeper, HOME, reason="ticket 17") + revoke(keeper, None, reason="ticket 18")
    assert [change.reason for change in closed if isinstance(change, Closed)] == [
        "revoked: ticket 17",
        "wiped: ticket 18",
    ], "as history says it"
    assert keeper.changes == {
        ("opened", ""): 2,
        ("closed", "revoked"): 1,
        ("closed", "wiped"): 1,
        ("refused", "special:private"): 1,
    }


async def test_a_login_that_is_revoked_while_it_is_committed_never_opens(
    keeper: Keeper, store: Any, login: Any, batch: Any, published: Any, eventually: Any
) -> None:
    heard: list[Change] = []
    keeper.listeners.add(heard.append)
    store.hold()
    taking = asyncio.create_task(keeper.take("log", batch(login(), login(OFFICE, "bob"))))
    await eventually(lambda: store.asked)
    revoke(keeper)
    store.release()
    await taking
    assert await keeper.durable()
    assert not allowed(keeper)
    assert allowed(keeper, OFFICE)
    assert await keeper.published()
    assert published.held == {OFFICE}
    assert ANN not in store.rows.grants, "not after a restart either"
    assert not any(isinstance(change, Opened) and change.grant.address == HOME for change in heard)


async def test_a_login_that_is_revoked_while_it_waits_for_what_is_owed_does_not_come_back_after_a_restart(
    keeper: Keeper, store: Any, login: Any, batch: Any, clock: Any, eventually: Any
) -> None:
    await keeper.take("log", batch(login(OFFICE, "bob")))
    store.hold()
    revoke(keeper, OFFICE)
    await eventually(lambda: store.asked == 2)
    taking = asyncio.create_task(keeper.take("log", batch(login(), position=b"2")))
    await asyncio.sleep(0.02)
    assert store.asked == 2, "it waits"
    clock.at += 1
    revoke(keeper, HOME)
    store.release()
    await taking
    assert await keeper.durable()
    assert not allowed(keeper)
    assert store.rows.grants == {}


async def test_a_login_after_a_revocation_that_is_still_owed_is_not_lost(
    keeper: Keeper, store: Any, login: Any, batch: Any, clock: Any, eventually: Any
) -> None:
    await keeper.take("log", batch(login()))
    store.hold()
    clock.at += 1
    revoke(keeper)
    await eventually(lambda: store.asked == 2)
    clock.at += 2
    revoke(keeper, None, "ann")
    clock.at += 2
    taking = asyncio.create_task(keeper.take("log", batch(login(), position=b"2")))
    await asyncio.sleep(0.02)
    store.release()
    await taking
    assert await keeper.durable()
    assert allowed(keeper)
    assert ANN in store.rows.grants


async def test_a_batch_without_events_does_not_commit_but_flush_does(keeper: Keeper, store: Any, batch: Any) -> None:
    await keeper.take("log", batch(position=b"7"))
    assert keeper.positions["log"] == b"7"
    assert store.asked == 0
    await keeper.flush()
    assert store.rows.positions == {"log": b"7"}
    await keeper.flush()
    assert store.asked == 1, "there was nothing more to commit"


async def test_the_next_commit_carries_the_positions_that_rest(
    keeper: Keeper, store: Any, batch: Any, login: Any
) -> None:
    await keeper.take("quiet", batch(position=b"7"))
    await keeper.take("log", batch(position=b"1"))
    await keeper.take("log", batch(login(), position=b"2"))
    assert store.rows.positions == {"quiet": b"7", "log": b"2"}
    await keeper.flush()
    assert store.asked == 1


async def test_a_position_that_moves_while_another_is_committed_is_not_forgotten(
    keeper: Keeper, store: Any, batch: Any, eventually: Any
) -> None:
    store.hold()
    await keeper.take("log", batch(position=b"1"))
    flushing = asyncio.create_task(keeper.flush())
    await eventually(lambda: store.asked)
    await keeper.take("log", batch(position=b"2"))
    store.release()
    await flushing
    assert store.rows.positions == {"log": b"1"}
    await keeper.flush()
    assert store.rows.positions == {"log": b"2"}


async def test_an_order_that_opens_does_not_wait_behind_a_batch_that_cannot_be_committed(
    keeper: Keeper, store: Any, batch: Any, login: Any, disk_full: StoreError
) -> None:
    store.broken = disk_full

    async def follow() -> None:
        while True:
            try:
                return await keeper.take("log", batch(login()))
            except StoreError:
                await asyncio.sleep(0.01)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.02)
    async with asyncio.timeout(1):
        with pytest.raises(StoreError):
            await keeper.open(lambda draft: draft.allow(OFFICE, ""))
    store.broken = None
    await following
    assert allowed(keeper)


async def test_while_starting_only_a_plainly_live_grant_is_found_and_all_else_cannot_be_told(
    keeper: Keeper, batch: Any, login: Any, clock: Any
) -> None:
    await keeper.take("log", batch(login()))
    keeper.starting("starting up")
    assert allowed(keeper)
    assert keeper.find(OFFICE) == Unavailable("starting up")
    clock.at += PERIOD
    assert keeper.find(HOME) == Unavailable("starting up")
    keeper.started()
    assert keeper.find(HOME) == Absent()


async def test_while_the_store_is_broken_only_a_plainly_live_grant_is_found_and_all_else_cannot_be_told(
    keeper: Keeper, store: Any, batch: Any, login: Any, disk_full: StoreError
) -> None:
    await keeper.take("log", batch(login()))
    store.broken = disk_full
    with pytest.raises(StoreError):
        await keeper.take("log", batch(login(OFFICE), position=b"2"))
    assert allowed(keeper)
    assert keeper.find(OFFICE) == Unavailable("the ledger cannot be written: the disk is full")


async def test_that_the_store_can_commit_again_is_noticed_without_any_event(
    keeper: Keeper, store: Any, disk_full: StoreError
) -> None:
    store.broken = disk_full
    with pytest.raises(StoreError):
        await keeper.open(lambda draft: draft.allow(OFFICE, ""))
    await keeper.flush()
    assert isinstance(keeper.find(HOME), Unavailable)
    store.broken = None
    await keeper.flush()
    assert keeper.find(HOME) == Absent()
    assert keeper.store_error == ""


async def test_a_damaged_ledger_is_told_to_the_daemon(keeper: Keeper, store: Any) -> None:
    store.broken = StoreDamaged("it is damaged")
    with pytest.raises(StoreError):
        await keeper.open(lambda draft: draft.allow(OFFICE, ""))
    assert keeper.damaged.is_set()


async def test_a_record_that_cannot_be_written_by_a_bug_of_ours_is_as_a_store_that_cannot(
    keeper: Keeper, store: Any, batch: Any, login: Any
) -> None:
    await keeper.take("log", batch(login()))
    store.broken = ValueError("oops")
    revoke(keeper)
    assert not await keeper.durable(0.03)
    assert "oops" in keeper.store_error
    assert not allowed(keeper)
    store.broken = None
    assert await keeper.durable()
    assert store.rows.grants == {}


@pytest.mark.parametrize(
    ("level", "told"), [(logging.DEBUG, ["grant opened", "grant renewed"]), (logging.INFO, ["grant opened"])]
)
async def test_renewals_are_told_only_to_who_wants_every_detail_and_counted_always(
    keeper: Keeper, batch: Any, login: Any, level: int, told: list[str]
) -> None:
    config = structlog.get_config()
    try:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
        with capture_logs() as events:
            await keeper.take("log", batch(login(), login()))
    finally:
        structlog.configure(**config)
    assert [event["event"] for event in events] == told
    assert keeper.changes == {("opened", ""): 1, ("renewed", ""): 1}
