from __future__ import annotations

from poprelay.services.tally import QUIET, Tally


def test_a_word_is_worth_a_line_at_first_and_again_after_a_while() -> None:
    now = 10.0
    tally = Tally(clock=lambda: now)
    assert tally.note("idle")
    assert tally.note("slow")
    now += QUIET - 1
    assert not tally.note("idle")
    now += 1
    assert tally.note("idle")
    assert tally.counts() == {"idle": 3, "slow": 1}


def test_counts_are_a_copy() -> None:
    tally = Tally("found")
    tally.counts()["found"] = 7
    assert tally.counts() == {"found": 0}
