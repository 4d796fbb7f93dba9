from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.wire import Bad
from poprelay.wire.tcptable import LIMIT, TcpTable, reply

ASKED = b"get 192.0.2.7\nget 2001%3Adb8::7\nget two%20words\nget unknown\n"
KEYS = ["192.0.2.7", "2001:db8::7", "two words", "unknown"]


@given(PLACES)
def test_requests_are_read_in_pieces_of_any_size(places: list[int]) -> None:
    engine = TcpTable()
    assert [key for piece in cut(ASKED, places) for key in engine.feed(piece)] == KEYS


@pytest.mark.parametrize("line", [b"put a b", b"get", b"GET x", b"", b"get %4", b"get %zz"])
def test_what_is_no_get_ends_the_talk(line: bytes) -> None:
    engine = TcpTable()
    assert [type(key) for key in engine.feed(line + b"\nget 192.0.2.7\n")] == [Bad]
    assert engine.feed(ASKED) == []


def test_a_line_without_end_is_not_kept() -> None:
    engine = TcpTable()
    assert engine.feed(b"get " + b"x" * (LIMIT - 5)) == []
    assert [key.word for key in engine.feed(b"x") if isinstance(key, Bad)] == ["too_long"]
    assert engine._rest == b""


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_no_bytes_break_it_nor_fill_memory(pieces: list[bytes]) -> None:
    engine = TcpTable()
    for piece in pieces:
        engine.feed(piece)
    assert len(engine._rest) < LIMIT


@given(st.text(max_size=100))
def test_a_reply_is_one_line_whatever_the_reason(text: str) -> None:
    assert re.fullmatch(rb"400 [!-~]*\n", reply(400, text))
    assert len(reply(400, text)) < LIMIT
