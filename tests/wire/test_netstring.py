from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.wire import Bad
from poprelay.wire.netstring import Netstrings, encode

LIMIT = 40
payloads = st.lists(st.binary(max_size=LIMIT), max_size=6)
near_misses = st.lists(
    st.sampled_from([b"1:a,", b"0:,", b":", b",", b"-", b"12", b"41:", b"x", b"00:,", b"99999"])
).map(b"".join)
streams = st.one_of(st.binary(max_size=120), near_misses)


@given(payloads, PLACES)
def test_what_is_encoded_is_read_back_however_it_is_cut(sent: list[bytes], places: list[int]) -> None:
    strings = Netstrings(LIMIT)
    read = [one for piece in cut(b"".join(map(encode, sent)), places) for one in strings.feed(piece)]
    assert read == sent


@given(streams, PLACES)
def test_any_bytes_are_read_the_same_however_they_are_cut(data: bytes, places: list[int]) -> None:
    pieces = Netstrings(LIMIT)
    assert [one for piece in cut(data, places) for one in pieces.feed(piece)] == Netstrings(LIMIT).feed(data)


@given(streams)
def test_nothing_follows_a_bad_one(data: bytes) -> None:
    strings = Netstrings(LIMIT)
    read = strings.feed(data)
    assert not any(isinstance(one, Bad) for one in read[:-1])
    if read and isinstance(read[-1], Bad):
        assert strings.feed(b"1:a,") == []


@given(st.binary(max_size=300), PLACES)
def test_no_more_is_kept_than_one_string_and_its_header(data: bytes, places: list[int]) -> None:
    strings = Netstrings(LIMIT)
    for piece in cut(b"1:a,2:b" + data, places):
        strings.feed(piece)
        assert len(strings._rest) <= LIMIT + len("40:")


def test_a_string_over_the_limit_is_refused_before_its_bytes_come() -> None:
    assert Netstrings(100).feed(b"101:") == [Bad("too_long", "longer than 100 bytes")]
    assert Netstrings(100).feed(encode(b"a" * 100)) == [b"a" * 100]
