from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.wire import Bad
from poprelay.wire.http import LIMIT, Http, Page, Request, reply

ASKED = b"GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\n\r\n"
MORE = b"HEAD /health HTTP/1.0\r\n\r\n"


def fed(engine: Http, pieces: Iterable[bytes]) -> list[Request]:
    return [request for request in map(engine.feed, pieces) if request is not None]


@given(PLACES)
def test_a_request_is_read_in_pieces_of_any_size(places: list[int]) -> None:
    assert fed(Http(), cut(ASKED, places)) == [Page("/metrics", head=False)]
    assert fed(Http(), cut(MORE, places)) == [Page("/health", head=True)]


@given(PLACES)
def test_what_follows_the_request_is_not_read(places: list[int]) -> None:
    assert fed(Http(), cut(ASKED + MORE * 100, places)) == [Page("/metrics", head=False)]


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
    assert isinstance(engine.feed(data), Bad)
    assert engine.feed(ASKED) is None


def test_a_head_without_end_is_not_kept() -> None:
    engine = Http()
    assert engine.feed(b"GET / HTTP/1.1\r\n") is None
    assert [request.word for request in fed(engine, [b"x" * LIMIT]) if isinstance(request, Bad)] == ["too_long"]


SCRAPS = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"HEAD /x HTTP/1.0\n", b"Host: x\r\n", b"Content-Length: 0\r\n", b"Content-Length: 3\n",
     b"\r\n", b"\n", b"\r", b" ", b"x" * 3000]
)  # fmt: skip


@given(st.lists(SCRAPS | st.binary(max_size=30), max_size=12).map(b"".join), PLACES)
def test_any_bytes_give_the_same_request_however_they_are_cut_and_no_more_is_kept_than_one_head(
    data: bytes, places: list[int]
) -> None:
    engine, found = Http(), []
    for piece in cut(data, places):
        found += fed(engine, [piece])
        assert len(engine._rest) <= LIMIT
    assert found == fed(Http(), [data])
    assert len(found) <= 1


def test_a_reply_says_how_long_it_is() -> None:
    assert reply("200 OK", "text/plain", b"abc") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    )
    assert reply("200 OK", "text/plain", b"abc", head=True).endswith(b"Length: 3\r\nConnection: close\r\n\r\n")
