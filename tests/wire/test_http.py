from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.wire import Bad
from poprelay.wire.http import LIMIT, Http, Page, reply

ASKED = b"GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\n\r\nHEAD /health HTTP/1.0\r\n\r\n"
PAGES = [Page("/metrics", head=False), Page("/health", head=True)]


@given(st.lists(st.integers(0, len(ASKED)), max_size=6))
def test_requests_are_read_in_pieces_of_any_size(cuts: list[int]) -> None:
    engine = Http()
    places = [0, *sorted(cuts), len(ASKED)]
    pieces = [ASKED[start:end] for start, end in pairwise(places)]
    assert [request for piece in pieces for request in engine.feed(piece)] == PAGES


@pytest.mark.parametrize(
    "data",
    [
        b"POST /metrics HTTP/1.1\r\n\r\n",
        b"GET metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/2.0\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_what_is_not_a_plain_question_ends_the_talk(data: bytes) -> None:
    engine = Http()
    assert [type(request) for request in engine.feed(data)] == [Bad]
    assert engine.feed(ASKED) == []


def test_a_head_without_end_is_not_kept() -> None:
    engine = Http()
    assert engine.feed(b"GET / HTTP/1.1\r\n") == []
    assert [request.word for request in engine.feed(b"x" * LIMIT) if isinstance(request, Bad)] == ["too_long"]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    engine = Http()
    for piece in pieces:
        engine.feed(piece)


def test_a_reply_says_how_long_it_is() -> None:
    assert reply("200 OK", "text/plain", b"abc") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert reply("200 OK", "text/plain", b"abc", head=True).endswith(b"Length: 3\r\n\r\n")
