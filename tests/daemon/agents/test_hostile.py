"""Timing patterns: what grows faster than its line is found, what is only slow at once is not."""

from __future__ import annotations

import re

import pytest

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.daemon.agents import hostile


def test_a_slow_pattern_is_found_on_lines_made_from_its_own_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "LONG", 16384)
    monkeypatch.setattr(hostile, "SLOW", 0.004)

    class Slow(Agent):
        name = "slow"
        program = "d"
        login = r".+user=(?P<user>\w+) host=.*\[(?P<address>[0-9.]+)\] nmsgs="

    (finding,) = hostile.time_agent(Slow(), [b"Login user=ann host=mx [192.0.2.7] nmsgs=1"])
    assert (finding.severity, finding.about, finding.where) == ("error", "backtracking", "login")
    assert "user=" in finding.message


def test_no_built_in_agent_is_slow() -> None:
    uw = catalog.find("uw-imap")
    assert hostile.time_agent(uw, [b"Login user=ann host=mx [192.0.2.7] nmsgs=1/2"]) == []


def test_noise_alone_makes_nothing_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = iter([0.5, 0.4, 0.3])  # the long line once, at its best, and the short one
    monkeypatch.setattr(hostile, "_cost", lambda *_: next(costs))
    assert not hostile.is_slow(re.compile(b"x"), b"", b"x")


def test_what_is_quick_the_first_time_is_not_timed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = iter([0.001])
    monkeypatch.setattr(hostile, "_cost", lambda *_: next(costs))
    assert not hostile.is_slow(re.compile(b"x"), b"", b"x")
