"""A mapping that is gone through while it changes, and that the garbage collector need not look at."""

from __future__ import annotations

import gc
from itertools import islice

from poprelay.ledger.sharded import SHARDS, Sharded


def filled(number: int) -> Sharded[str, int]:
    made: Sharded[str, int] = Sharded()
    for key in range(number):
        made.shard(f"key {key}")[f"key {key}"] = key
    return made


def test_it_holds_what_was_put_in() -> None:
    held = filled(5_000)
    assert len(held) == 5_000
    assert sorted(held.values()) == list(range(5_000))
    assert sorted(held) == sorted(f"key {key}" for key in range(5_000))
    assert (held.get("key 17"), held.get("key"), "key 17" in held, "key" in held) == (17, None, True, False)


def test_keys_are_spread_evenly() -> None:
    sizes = sorted(map(len, filled(100 * SHARDS).shards))
    assert 50 < sizes[0] <= sizes[-1] < 150


def test_going_through_it_misses_nothing_that_stays_while_others_come_and_go() -> None:
    held = filled(20_000)
    keys = iter(held)
    seen: list[str] = []
    for number in range(100):
        seen += islice(keys, 200)
        held.shard(f"new {number}")[f"new {number}"] = number
        del held.shard(f"key {number}")[f"key {number}"]
    seen += keys
    assert len(seen) == len(set(seen))
    assert {f"key {key}" for key in range(100, 20_000)} <= set(seen)


def test_the_collector_does_not_go_through_it_once_it_was_told_to_look_away() -> None:
    held: Sharded[str, object] = Sharded()
    gc.freeze()
    try:
        for key in range(5_000):
            held.shard(f"key {key}")[f"key {key}"] = {key}
        looked_at = {id(one) for one in gc.get_objects()}
        assert not looked_at & set(map(id, held.shards))
    finally:
        gc.unfreeze()
