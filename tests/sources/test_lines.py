"""Whole lines out of a stream, however it is cut into reads and whatever it holds."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poprelay.sources import lines as module
from poprelay.sources.lines import LONGEST, Block, Lines


def test_whole_lines_come_at_once_and_the_partial_last_line_waits() -> None:
    lines = Lines()
    assert lines.feed(b"one\ntwo\nthr") == Block(b"one\ntwo\n")
    assert lines.feed(b"e") == Block(b"")
    assert lines.partial == b"thre"
    assert lines.feed(b"e\n") == Block(b"three\n")
    assert lines.partial == b""


def test_what_waits_may_come_from_an_earlier_life() -> None:
    assert Lines(b"on").feed(b"e\n") == Block(b"one\n")
    assert Lines(skipping=True).feed(b"end of a long line\ntwo\n") == Block(b"\ntwo\n", 1)


def test_a_line_of_64_kib_is_kept_and_one_byte_more_is_cut_and_counted() -> None:
    longest = b"x" * 65_536 + b"\n"
    assert Lines().feed(longest) == Block(longest)
    assert Lines().feed(b"one\nx" + longest + b"two\n") == Block(b"one\n\ntwo\n", 1)


def test_line_numbers_stay_right_where_lines_are_cut() -> None:
    long = b"x" * (LONGEST + 1) + b"\n"
    block = Lines().feed(long + b"two\n" + long + long + b"five\n")
    assert block == Block(b"\ntwo\n\n\nfive\n", 3)


def test_a_line_over_the_limit_is_counted_once_however_many_reads_it_fills() -> None:
    lines = Lines()
    blocks = [lines.feed(b"x" * LONGEST) for _ in range(20)]
    assert {block.cut for block in blocks} == {0}
    assert lines.feed(b"user=forged\ntwo\n") == Block(b"\ntwo\n", 1)
    assert not lines.skipping


def test_no_stream_without_a_newline_fills_the_memory() -> None:
    lines = Lines()
    for _ in range(5):
        lines.feed(b"x" * (LONGEST - 1))
        assert len(lines.partial) <= LONGEST
    assert lines.skipping


def test_nul_bytes_are_dropped_from_the_start_of_a_line_and_kept_in_its_middle() -> None:
    assert Lines().feed(b"\0\0one\nt\0wo\n\0\nfour\n") == Block(b"one\nt\0wo\n\nfour\n")


def test_a_hole_longer_than_any_line_hides_neither_the_line_after_it_nor_fills_the_memory() -> None:
    lines = Lines()
    for _ in range(3):
        assert lines.feed(b"\0" * LONGEST) == Block(b"")
        assert lines.partial == b""
    assert lines.feed(b"\0one\n") == Block(b"one\n")
    assert Lines().feed(b"\0" * 3 * LONGEST + b"one\n") == Block(b"one\n")


def test_only_a_newline_ends_a_line() -> None:
    """Not what `splitlines` takes for one, or a user name could begin a line of its own."""
    odd = b"a\rb\vc\fd\x1ce\x85f\xe2\x80\xa8g\xff\xfe\n"
    assert Lines().feed(odd) == Block(odd)
    assert Lines().feed(b"a\r") == Block(b"")


def test_the_end_of_a_stream_makes_a_whole_line_of_the_last_one() -> None:
    lines = Lines()
    lines.feed(b"one\ntwo")
    assert lines.finish() == Block(b"two\n")
    assert lines.finish() == Block(b"")


def test_the_end_of_a_stream_counts_a_long_line_that_has_no_end() -> None:
    lines = Lines()
    lines.feed(b"x" * (LONGEST + 1))
    assert lines.finish() == Block(b"\n", 1)


def expected(stream: bytes, limit: int) -> tuple[list[bytes], int, bytes]:
    """Whole lines, how many of them were cut, and what is left."""
    *whole, rest = (line.lstrip(b"\0") for line in stream.split(b"\n"))
    return [line if len(line) <= limit else b"" for line in whole], sum(len(line) > limit for line in whole), rest


@settings(max_examples=300)
@given(stream=st.lists(st.sampled_from(b"ab\0\n\xff"), max_size=60).map(bytes), ends=st.sets(st.integers(0, 60)))
@pytest.mark.parametrize("limit", [1, 5])
def test_the_lines_do_not_depend_on_how_the_stream_is_cut_into_reads(stream: bytes, ends: set[int], limit: int) -> None:
    with patch.object(module, "LONGEST", limit):
        lines = Lines()
        blocks = [lines.feed(stream[start:end]) for start, end in pairwise(sorted({0, *ends, len(stream)}))]
        whole, cut, rest = expected(stream, limit)
        assert b"".join(block.data for block in blocks) == b"".join(line + b"\n" for line in whole)
        assert sum(block.cut for block in blocks) == cut
        assert lines.skipping == (len(rest) > limit)
        assert lines.partial == (b"" if lines.skipping else rest)
