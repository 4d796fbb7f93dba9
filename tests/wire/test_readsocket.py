from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from poprelay.wire import Bad
from poprelay.wire.readsocket import LIMIT, ReadSocket


@given(st.binary(max_size=LIMIT).filter(lambda line: b"\n" not in line), st.lists(st.integers(0, 300), max_size=5))
def test_one_line_is_read_in_pieces_of_any_size(line: bytes, cuts: list[int]) -> None:
    engine, data = ReadSocket(), line + b"\nmore\n"
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    found = [key for start, end in pairwise(places) for key in engine.feed(data[start:end])]
    assert found == [line.removesuffix(b"\r").decode("ascii", "surrogateescape")]


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_no_bytes_break_it_and_it_answers_once(pieces: list[bytes]) -> None:
    engine = ReadSocket()
    assert sum(len(engine.feed(piece)) for piece in pieces) <= 1
    assert len(engine._line) <= LIMIT


def test_a_line_without_end_is_not_kept() -> None:
    engine = ReadSocket()
    assert engine.feed(b"x" * LIMIT) == []
    assert [type(each) for each in engine.feed(b"x")] == [Bad]
    assert engine.feed(b"\n192.0.2.7\n") == []
