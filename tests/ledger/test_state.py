"""What the ledger remembers of refused logins, so that it can count them on."""

from __future__ import annotations

import pytest

from poprelay.ledger import state as module
from poprelay.ledger.record import Refusal
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.ledger.state import RefusalKey, State
from poprelay.ledger.terms import Terms
from poprelay.model import Address

PERIOD = 100.0


def rows(*numbers: int) -> dict[RefusalKey, Refusal]:
    """Refusals, each at the second that is its number."""
    address, reason = Address("9.9.9.9"), "too-many-users"
    return {
        (address, f"u{number}", reason): Refusal(address, f"u{number}", reason, "dovecot", number, number, 1)
        for number in numbers
    }


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    return State(Terms(PERIOD), Rules(RuleTerms()))


def test_beyond_what_is_remembered_the_oldest_refusals_are_let_go(state: State) -> None:
    state.remember(rows(1, 2, 3), 5.0)
    state.remember(rows(1, 4, 5), 5.0)
    assert [user for _, user, _ in state.refusals] == ["u1", "u4", "u5"]


def test_refusals_that_are_over_are_let_go_at_once(state: State) -> None:
    state.remember(rows(1, 2), 5.0)
    state.remember(rows(50), 2.0 + PERIOD)
    assert [user for _, user, _ in state.refusals] == ["u50"]
    state.remember({}, 50.0 + PERIOD)
    assert not state.refusals
