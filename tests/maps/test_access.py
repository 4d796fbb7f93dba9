"""What Postfix finds for an allowed address."""

from __future__ import annotations

import pytest

from poprelay.maps.access import flaw


@pytest.mark.parametrize(
    "value", ["", " ", "relay", "0", "1700000000", "REJECT", "DUNNO", "no", "OK text", "451 later", "OK\n"]
)
def test_a_value_that_does_not_permit_or_only_by_accident_is_refused(value: str) -> None:
    assert flaw(value)
