"""What the truth knows of sessions, and what excuses a late answer."""

from __future__ import annotations

import time

import pytest

from faults.truth import HELD, KNOWN, LONGEST, PERIOD, SEEN, Truth


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


def test_a_wait_that_goes_on_counts_too() -> None:
    starved = Truth().starved
    told = [(1.0, "5 2000000000 1", "R"), (2.0, "6 2000000000 1", "R"), (5.0, "6 2000000000 1", "R")]
    assert [starved.waited(now, 7, times, state) for now, times, state in told] == [2.0, 2.0, 5.0]
    assert starved.waited(6.0, 7, "7 5000000000 2", "S") == 5.0
    assert starved.waited(9.0, 7, "7 5000000000 2", "S") == 5.0


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


@pytest.mark.parametrize(
    ("is_seen", "unread", "after", "is_wrong"),
    [
        (True, True, 0.1, True),
        (False, False, KNOWN - 0.5, False),
        (False, False, KNOWN + 0.5, True),
        (False, True, KNOWN + 0.5, False),
        (True, False, PERIOD - 1.0, False),
    ],
    ids=["seen before", "not known yet", "not known for long", "not read for long", "about to end"],
)
def test_who_must_be_allowed_must_not_be_denied(
    monkeypatch: pytest.MonkeyPatch, is_seen: bool, unread: bool, after: float, is_wrong: bool
) -> None:
    truth = Truth()
    login = truth.log_in()
    truth.unread = unread
    if is_seen:
        truth.told("the map", [login.address], login.at)
    monkeypatch.setattr(time, "time", lambda: login.at + after)
    truth.denied("a service", login.address, login.at + after, "NOTFOUND")
    assert bool(truth.wrong) == is_wrong


def test_what_was_live_is_demanded_again_once_a_clock_that_was_set_back_is_seen() -> None:
    truth = Truth()
    seen, unseen = truth.log_in(), truth.log_in()
    truth.told("the map", [seen.address], seen.at)
    seen.at -= KNOWN
    truth.step(-3600.0)
    assert (seen.must, unseen.must) == (True, False)
    truth.denied("a service", seen.address, time.time() + SEEN - 0.5, "NOTFOUND")
    assert not truth.wrong
    truth.denied("a service", seen.address, time.time() + SEEN + 0.5, "NOTFOUND")
    assert truth.wrong


def test_a_daemon_that_is_up_answers_in_time() -> None:
    truth = Truth()
    truth.answered("a service", None, 60.0, failed="refused")
    truth.up = 1.0
    truth.answered("a service", 0.5, LONGEST + 1.0)
    truth.answered("a service", 1.0, LONGEST - 1.0)
    assert not truth.wrong
    truth.answered("a service", 1.0, LONGEST + 1.0)
    truth.answered("a service", 1.0, 0.0, failed="refused")
    assert len(truth.wrong) == 2
