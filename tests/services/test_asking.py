from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from poprelay.address import canonical
from poprelay.model import Absent, Address, Allowed, Outcome, Unavailable
from poprelay.services import Find
from poprelay.services.asking import Asking


@pytest.mark.parametrize(
    "text",
    ["unknown", "", "192.0.2", "192.0.2.7.example.net", "[2001:db8::7]", "2001:db8:", ":", "192.0.2.7\0", "\udcff"],
)
def test_only_one_full_address_is_looked_up(text: str) -> None:
    def find(address: Address) -> Outcome:
        raise AssertionError(address)

    assert Asking("test", find).outcome(text) == Absent()


@given(st.text())
def test_what_is_looked_up_is_canonical(text: str) -> None:
    asked: list[str] = []

    def find(address: Address) -> Outcome:
        asked.append(address)
        return Absent()

    Asking("test", find).outcome(text)
    assert asked == [address for address in [canonical(text)] if address is not None]


def test_the_outcome_is_the_ledgers(find: Find) -> None:
    asking = Asking("test", find)
    assert isinstance(asking.outcome("2001:DB8:0::7"), Allowed)
    assert asking.outcome("192.0.2.8") == Absent()
    assert asking.outcome("192.0.2.99") == Unavailable("starting up")


def test_a_ledger_that_breaks_cannot_tell_and_is_logged_once(find: Find) -> None:
    asking = Asking("test", find)
    with capture_logs() as logs:
        assert [type(asking.outcome("192.0.2.66")) for _ in range(3)] == [Unavailable] * 3
    assert [(entry["event"], entry["service"]) for entry in logs] == [("the ledger failed to answer", "test")]
    assert asking.tally.counts()["failed"] == 3


@pytest.mark.parametrize("nonsense", [Allowed(()), None, True, "OK", ()])
def test_an_outcome_without_a_meaning_is_cannot_tell(nonsense: object) -> None:
    asking = Asking("test", lambda address: cast("Any", nonsense))
    with capture_logs():
        assert isinstance(asking.outcome("192.0.2.7"), Unavailable)
