from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.wire import Bad
from poprelay.wire.netstring import Netstrings, encode
from poprelay.wire.socketmap import NOT_FOUND, Query, Socketmap, found, permanent, sendable, temporary

keys = st.one_of(st.text(max_size=30), st.sampled_from(["192.0.2.7", "unknown", "", " ", "2001:db8::7"]))
requests = st.lists(keys.map(lambda key: encode(f"relay {key}".encode())), max_size=5).map(b"".join)
streams = st.one_of(st.binary(max_size=100), st.tuples(requests, st.binary(max_size=20)).map(b"".join))


@given(streams, PLACES)
def test_any_bytes_give_the_same_requests_however_they_are_cut(data: bytes, places: list[int]) -> None:
    pieces = Socketmap()
    cut_up = [one for piece in cut(data, places) for one in pieces.feed(piece)]
    whole = Socketmap().feed(data)
    assert cut_up == whole
    assert not any(isinstance(one, Bad) for one in whole[:-1])


@given(st.lists(keys, max_size=5))
def test_what_postfix_asks_is_read_to_the_letter(asked: list[str]) -> None:
    read = Socketmap().feed(b"".join(encode(f"relay {key}".encode()) for key in asked))
    assert [one.key.encode("ascii", "surrogateescape").decode() for one in read if isinstance(one, Query)] == asked


@given(st.text())
def test_a_reason_is_one_short_printable_netstring_whatever_it_says(reason: str) -> None:
    for reply in (temporary(reason), permanent(reason)):
        [payload] = Netstrings(300).feed(reply)
        assert isinstance(payload, bytes)
        assert payload.decode("ascii").isprintable()
        assert payload[:5] in {b"TEMP ", b"PERM "}


@pytest.mark.parametrize("value", ["", " ", "OK ", " OK", "OK\n", "ÖK", "a" * 1001, "\0"])
def test_a_value_that_must_not_be_sent_is_never_sent(value: str) -> None:
    assert not sendable(value)
    with pytest.raises(ValueError, match="cannot be the value"):
        found(value)


def test_an_absent_key_is_told_with_the_space_that_the_protocol_wants() -> None:
    assert NOT_FOUND == b"9:NOTFOUND ,"
