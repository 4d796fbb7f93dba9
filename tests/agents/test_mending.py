from __future__ import annotations

import re

import pytest

from poprelay.agents.ambiguity import forgeries
from poprelay.agents.mending import guarded, mended

OPEN = r"login ok user=(?P<user>[^ ]+) from=(?P<address>[0-9a-fA-F.:]+)"


def test_a_guarded_pattern_takes_no_message_that_could_be_read_in_two_ways() -> None:
    safe = guarded(OPEN)
    assert safe is not None
    expression = re.compile(safe)
    for good in ("login ok user=ann from=192.0.2.7", "login ok user=ann from=2001:db8::7 in 3 ms"):
        assert expression.match(good), good
    for bad in ("login ok user=x from=6.6.6.6 from=192.0.2.7", "login ok user=x from=6.6.6.6 y from=192.0.2.7 in 3 ms"):
        assert expression.match(bad) is None, bad
    assert [*forgeries(OPEN, re.compile(OPEN.encode()), free="user")]
    assert not [*forgeries(safe, re.compile(safe.encode()), free="user")]


@pytest.mark.parametrize(
    "pattern",
    [
        r"login (?P<user>[^ ]+) (?P<address>[0-9.]+)",
        r"login (?P<user>[^ ]+)\s+(?P<address>[0-9.]+)",
        r"(?P<user>[^ ]+)ab(?P<address>[0-9a-f.]+)",
        r"logout (?P<user>[^ ]+)",
    ],
)
def test_there_is_no_guard_without_a_text_before_the_address(pattern: str) -> None:
    assert guarded(pattern) is None


def test_a_pattern_is_mended_by_the_fewest_changes() -> None:
    assert mended(OPEN, lambda text: text.endswith("$")) == OPEN + "$"
    assert mended(r"a(?P<user>.*)>b", lambda text: "[^>]" in text) == r"a(?P<user>[^>]*)>b"
    assert mended(r"a(?P<user>\w+)b", lambda text: "++" in text) == ""
    assert mended(r"a(?P<user>\w+) b", lambda text: "++" in text) == r"a(?P<user>\w++) b"


def test_what_nothing_mends_is_left_alone() -> None:
    assert mended(OPEN, lambda _: False) == ""
