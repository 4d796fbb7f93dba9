from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.spans import parse_rfc3339, parse_span, rfc3339, show_span


@given(st.integers(0, 999_999_999), st.sampled_from("smhd"))
def test_a_span_is_a_number_and_one_unit(number: int, unit: str) -> None:
    assert parse_span(f"{number}{unit}") == number * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]


@pytest.mark.parametrize(
    "text", ["", "m", "30", "30M", "30 m", "-1s", "+1s", "1.5h", "1h30m", "9999999999s", "３0s", "1s\n"]
)
def test_anything_else_is_none(text: str) -> None:
    assert parse_span(text) is None


@given(st.floats(0, 1e9))
def test_a_span_is_shown_in_at_most_two_units_and_never_too_long(seconds: float) -> None:
    words = show_span(seconds).split()
    shown = sum(parse_span(word) or 0.0 for word in words)
    assert 1 <= len(words) <= 2
    assert shown <= seconds
    assert seconds - shown < 86_400


@given(st.floats(-2e9, 4e9))
def test_an_instant_survives_to_the_millisecond(at: float) -> None:
    text = rfc3339(at)
    assert text is not None
    assert text.endswith("Z")
    assert abs(parse_rfc3339(text) - at) <= 0.0011


def test_what_no_calendar_has_is_shown_as_none() -> None:
    assert [rfc3339(at) for at in (None, math.inf, -math.inf, math.nan, 1e18)] == [None] * 5


def test_a_time_without_a_zone_is_refused() -> None:
    assert parse_rfc3339("1970-01-01T01:00:00+01:00") == 0.0
    for text in ("1970-01-01T00:00:00", "yesterday", ""):
        with pytest.raises(ValueError, match=r"zone|Invalid"):
            parse_rfc3339(text)
