from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.wire import Bad
from poprelay.wire.http import LIMIT, Http, Page, reply

ASKED = b"GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\n\r\nHEAD /health HTTP/1.0\r\n\r\n"
PAGES = [Page("/metrics", head=False), Page("/health", head=True)]


@given(PLACES)
def test_requests_are_read_in_pieces_of_any_size(places: list[int]) -> None:
    engine = Http()
    assert [request for piece in cut(ASKED, places) for request in engine.feed(piece)] == PAGES


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


SCRAPS = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"HEAD /x HTTP/1.0\n", b"Host: x\r\n", b"Content-Length: 0\r\n", b"Content-Length: 3\n",
     b"\r\n", b"\n", b"\r", b" ", b"x" * 3000]
)  # fmt: skip


@given(st.lists(SCRAPS | st.binary(max_size=30), max_size=12).map(b"".join), PLACES)
def test_any_bytes_give_the_same_requests_however_they_are_cut_and_no_more_is_kept_than_one_head(
    data: bytes, places: list[int]
) -> None:
    engine, found = Http(), []
    for piece in cut(data, places):
        found += engine.feed(piece)
        assert len(engine._rest) <= LIMIT
    assert found == Http().feed(data)
    assert not any(isinstance(one, Bad) for one in found[:-1])


def test_a_reply_says_how_long_it_is() -> None:
    assert reply("200 OK", "text/plain", b"abc") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert reply("200 OK", "text/plain", b"abc", head=True).endswith(b"Length: 3\r\n\r\n")
