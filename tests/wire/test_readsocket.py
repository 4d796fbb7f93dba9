from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.wire import Bad
from poprelay.wire.readsocket import LIMIT, ReadSocket


@given(st.binary(max_size=LIMIT).filter(lambda line: b"\n" not in line), PLACES)
def test_one_line_is_read_in_pieces_of_any_size(line: bytes, places: list[int]) -> None:
    engine, data = ReadSocket(), line + b"\nmore\n"
    found = [key for piece in cut(data, places) for key in engine.feed(piece)]
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
