from __future__ import annotations

from poprelay.services.refusals import LATELY, Refusals


def test_that_there_was_no_room_is_told_for_a_while() -> None:
    now = 10.0
    refusals = Refusals("socketmap", clock=lambda: now)
    refusals.note("malformed", "nonsense")
    assert refusals.crowding() == ""
    refusals.note("crowded", "more than 5 connections")
    now += LATELY - 1
    assert refusals.crowding() == "more than 5 connections"
    now += 1
    assert refusals.crowding() == ""
    assert refusals.counts() == {"refused_malformed": 1, "refused_crowded": 1}
