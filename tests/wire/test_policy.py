from __future__ import annotations

import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.wire import Bad
from poprelay.wire.policy import LINE, Action, Delegated, Policy, reply

REQUEST = b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.7\n"
LIMIT = 200
scraps = st.sampled_from(
    [b"\n", b"\n\n", b"=", b"a=b\n", b"\0", b"\r\n", b"\xff", b"x" * 150, REQUEST, REQUEST + b"\n"]
)
streams = st.one_of(st.binary(max_size=120), st.lists(scraps, max_size=8).map(b"".join))


@given(streams, PLACES)
def test_any_bytes_give_the_same_requests_however_they_are_cut(data: bytes, places: list[int]) -> None:
    pieces = Policy(LIMIT)
    cut_up = [one for piece in cut(data, places) for one in pieces.feed(piece)]
    whole = Policy(LIMIT).feed(data)
    assert cut_up == whole
    assert not any(isinstance(one, Bad) for one in whole[:-1])


@given(streams, PLACES)
def test_no_more_is_kept_than_one_request(data: bytes, places: list[int]) -> None:
    engine = Policy(LIMIT)
    for piece in cut(data, places):
        engine.feed(piece)
        assert len(engine._rest) <= LIMIT + 1


@given(
    st.dictionaries(
        st.sampled_from(["sender", "helo_name", "x"]), st.text(st.characters(codec="utf-8", exclude_characters="\n"))
    )
)
def test_every_attribute_is_kept_to_the_letter(more: dict[str, str]) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in more.items())
    [request] = Policy().feed(REQUEST + lines.encode("utf-8") + b"\n")
    assert isinstance(request, Delegated)
    assert (request.state, request.client_address) == ("RCPT", "192.0.2.7")
    assert {name: request.attributes[name] for name in more} == more


def test_of_an_attribute_that_does_not_count_the_first_is_shown() -> None:
    [request] = Policy().feed(REQUEST + b"sender=ann\njunk\nsender=bob\n\n")
    assert isinstance(request, Delegated)
    assert request.attributes == {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "client_address": "192.0.2.7",
        "sender": "ann",
    }


@pytest.mark.parametrize("name", ["request", "protocol_state", "client_address"])
def test_an_attribute_that_counts_is_refused_if_it_comes_twice(name: str) -> None:
    [request] = Policy().feed(REQUEST + b"\n")
    assert isinstance(request, Delegated)
    again = f"{name}={request.attributes[name]}\n\n".encode()
    assert Policy().feed(REQUEST + again) == [Bad("malformed", "an attribute was sent twice")]


def test_too_long_a_line_and_too_long_a_request_are_refused() -> None:
    assert Policy().feed(REQUEST + b"x=" + b"a" * (LINE - 1) + b"\n\n") == [
        Bad("too_long", "a line longer than 8192 bytes")
    ]
    assert Policy().feed(REQUEST + b"".join(b"a%d=\n" % n for n in range(20_000)) + b"\n") == [
        Bad("too_long", "longer than 65536 bytes")
    ]


def test_what_is_just_within_the_limits_is_read() -> None:
    [request] = Policy().feed(REQUEST + b"x=" + b"a" * (LINE - 2) + b"\n\n")
    assert isinstance(request, Delegated)
    more = b"a=\n" * ((65_536 - len(REQUEST)) // 3)
    [request] = Policy().feed(REQUEST + more + b"\n")
    assert isinstance(request, Delegated)


def test_a_reply_is_one_of_three_and_its_action_is_never_empty() -> None:
    replies = {reply(action) for action in Action}
    assert len(replies) == 3
    for one in replies:
        assert re.fullmatch(rb"action=(OK|DUNNO|DEFER_IF_REJECT 4\.3\.0 [A-Z][A-Za-z ,]+)\n\n", one)


@pytest.mark.parametrize("other", ["", " ", "OK", "1700000000", None])
def test_nothing_but_an_action_can_be_said(other: object) -> None:
    with pytest.raises(KeyError):
        reply(cast("Any", other))
