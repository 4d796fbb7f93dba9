"""The schedule against a dict of ends, whatever happens to the grants in between."""

from __future__ import annotations

import math

import hypothesis.strategies as st
from hypothesis import given

from poprelay.ledger.record import Key
from poprelay.ledger.schedule import Schedule
from poprelay.model import Address, Instant

KEYS: list[Key] = [(Address(f"192.0.2.{number}"), "ann", "login") for number in range(12)]
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "renew", "shorten", "remove", "wait"]), st.sampled_from(KEYS), st.integers(0, 20)
    ),
    max_size=80,
)


class Grants:
    """Ends by key, and a schedule that is told of what begins and of what ends sooner, as the ledger does."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends: dict[Key, Instant] = {}
        self.schedule = Schedule(self.ends.get)

    def put(self, key: Key, end: Instant) -> None:
        before = self.ends.get(key, math.inf)
        self.ends[key] = end
        if end < before:
            self.schedule.add(end, key)

    def expire(self) -> None:
        due = [key for key in self.schedule.due(self.now) if self.ends.get(key, math.inf) <= self.now]
        assert set(due) == {key for key, end in self.ends.items() if end <= self.now}
        for key in set(due):
            del self.ends[key]


@given(steps)
def test_all_that_ends_is_due_in_time(steps: list[tuple[str, Key, int]]) -> None:
    grants = Grants()
    for what, key, span in steps:
        known = grants.ends.get(key)
        if what == "wait":
            grants.now += span
            grants.expire()
        elif what == "remove":
            grants.ends.pop(key, None)
        elif what == "add" and known is None:
            grants.put(key, grants.now + 1 + span)
        elif what == "renew" and known is not None:
            grants.put(key, known + span)
        elif what == "shorten" and known is not None:
            grants.put(key, max(grants.now, known - span))
        end = grants.schedule.next_end()
        assert (end is None) == (not grants.ends)
        assert end is None or end <= min(grants.ends.values())


def test_what_begins_and_ends_over_and_over_leaves_little_behind() -> None:
    grants = Grants()
    for turn in range(2_000):
        grants.put(KEYS[0], 10_000.0 - turn)
        if turn % 2:
            del grants.ends[KEYS[0]]
    assert len(grants.schedule) < 300


def test_what_begins_and_ends_before_a_far_end_leaves_little_behind() -> None:
    grants = Grants()
    grants.put(KEYS[0], 1e9)
    for _ in range(20_000):
        grants.put((Address("192.0.2.0"), "bob", "login"), grants.now + 1)  # of the same heap
        grants.now += 2
        grants.schedule.next_end()
        grants.expire()
        assert grants.schedule.next_end() == 1e9
    assert len(grants.schedule._order) < 10_000


def test_a_heap_that_is_made_anew_has_what_ends_sooner_than_was_said() -> None:
    grants = Grants()
    grants.put(KEYS[0], 1_000.0)
    grants.ends[KEYS[0]] = 5.0
    for _ in range(300):
        grants.schedule.add(1_000.0, KEYS[0])
    assert grants.schedule.next_end() == 5.0
