"""What the truth knows of sessions, and what excuses a late answer."""

from __future__ import annotations

import time

import pytest

from faults.truth import HELD, PERIOD, Truth


def waiting(truth: Truth, *, since: float, seconds: float) -> None:
    """Ten seconds of measurements: its main thread waited so long, from `since` seconds ago."""
    truth.starved.pid = 7
    for tenth in range(101):
        at = tenth / 10 - 10
        truth.starved.note(100 + at, {7: min(max(at + since, 0.0), seconds), 8: 0.0})


@pytest.mark.parametrize(
    ("late", "since", "waited", "is_wrong"),
    [
        (0.9, 9.0, 0.0, False),
        (1.2, 9.0, 0.0, True),
        (1.9, 2.0, 1.0, False),
        (2.2, 2.0, 1.0, True),
        (1.9, 9.0, 1.0, True),
        (2.9, 9.0, 5.0, True),
        (4.5, 9.0, 9.0, True),
    ],
    ids=[
        "in time",
        "late",
        "as late as it waited",
        "later than it waited",
        "a wait before",
        "long waits before",
        "far too late",
    ],
)
def test_a_late_answer_is_excused_by_as_much_as_the_daemon_waited_then(
    late: float,
    since: float,
    waited: float,
    is_wrong: bool,
) -> None:
    truth = Truth()
    login = truth.log_in()
    login.until = time.time() - late
    waiting(truth, since=since, seconds=waited)
    truth.told("the map", [login.address], login.until + late)
    assert bool(truth.wrong) == is_wrong


def test_a_session_that_ends_late_lets_its_address_relay_a_period_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = Truth()
    login = truth.log_in(session=True)
    monkeypatch.setattr(time, "time", lambda: login.at + HELD - 1.0)
    truth.log_out(login)
    assert login.until == login.held == login.at + HELD - 1.0 + PERIOD
    late = truth.log_in(session=True)
    monkeypatch.setattr(time, "time", lambda: late.at + HELD + 1.0)
    truth.log_out(late)
    assert late.until == late.at + HELD
