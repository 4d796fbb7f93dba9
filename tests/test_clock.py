from __future__ import annotations

import time

import pytest

from poprelay.clock import STEP, Clock


class Hands:
    """Both clocks, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.steady = 1000.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.steady)

    def pass_(self, seconds: float, *, set_by: float = 0.0) -> None:
        self.steady += seconds
        self.wall += seconds + set_by


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_time_that_passes_is_no_step(hands: Hands) -> None:
    clock = Clock()
    hands.pass_(86_400)
    assert not clock.stepped_back()


def test_a_step_back_is_told_once(hands: Hands) -> None:
    clock = Clock()
    hands.pass_(1, set_by=-3600)
    assert (clock.stepped_back(), clock.stepped_back()) == (True, False)


def test_a_small_correction_is_no_step(hands: Hands) -> None:
    clock = Clock()
    hands.pass_(1, set_by=-STEP)
    assert not clock.stepped_back()


def test_small_steps_back_add_up(hands: Hands) -> None:
    clock = Clock()
    told = []
    for _ in range(5):
        hands.pass_(1, set_by=-1.9)
        told.append(clock.stepped_back())
    assert told == [False, True, False, True, False]


def test_a_step_forward_is_none_but_going_back_from_it_is(hands: Hands) -> None:
    clock = Clock()
    hands.pass_(1, set_by=3600)
    assert not clock.stepped_back()
    hands.pass_(1, set_by=-3600)
    assert clock.stepped_back()


def test_now_is_the_wall_clock_and_monotonic_is_not(hands: Hands) -> None:
    clock = Clock()
    hands.pass_(5, set_by=-100)
    assert (clock.now(), clock.monotonic()) == (905.0, 1005.0)
