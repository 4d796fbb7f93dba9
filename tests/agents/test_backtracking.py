from __future__ import annotations

import re
import time

import pytest

from poprelay.agents.backtracking import slowness

GOOD = [
    r"login (?P<user>.*) host=(?:[^\s\[\]]++ )?+\[(?P<address>[0-9.]++)\]$",
    r"(?:[^)]*+(?:\)(?!<)[^)]*+)*+)\)<\d++>",
    r"(\w+ )+x$",
    r"a.*b.*$",
    r'user "(.{1,100})" at \([^()]{0,255}+\) [0-9.]+$',
    r"(?:\w++ ?+)++x$",
    r"(?:ab|cd)*e",
]
EXPONENTIAL = [r"(?:\w+ ?)+;", r"(a*)*b$", r"(a|a)*b$", r"(?:a|ab|b)*c", r"(?:(?:x+)y?)+z"]
QUADRATIC = [r".+user=\w+ host=.*\[x", r"\w+\d+x", r".*(?!.*x)y$", r"[^ ]* ?[^ ]* ?;$", r".*x[^y]*+z"]


@pytest.mark.parametrize("pattern", GOOD)
def test_a_pattern_that_is_linear_is_let_be(pattern: str) -> None:
    assert slowness(pattern) is None


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_a_repeat_that_can_take_a_text_in_two_ways_is_found_and_its_line_costs_the_double_for_each_round(
    pattern: str,
) -> None:
    found = slowness(pattern)
    assert found is not None
    assert found.exponential
    costs = [cost(pattern, found.line(size)) for size in (4 * len(found.again), 9 * len(found.again))]
    assert costs[1] > 4 * costs[0]


@pytest.mark.parametrize("pattern", QUADRATIC)
def test_two_repeats_that_can_share_a_text_are_found_and_their_line_costs_more_than_its_length(pattern: str) -> None:
    found = slowness(pattern)
    assert found is not None
    assert not found.exponential
    costs = [cost(pattern, found.line(size)) for size in (1000, 8000)]
    assert costs[1] > 20 * costs[0]


def cost(pattern: str, line: bytes) -> float:
    """Seconds for one match, at best."""
    expression = re.compile(pattern.encode())
    best = 9.9
    for _ in range(5):
        before = time.process_time()
        expression.match(line)
        best = min(best, time.process_time() - before)
    return best
