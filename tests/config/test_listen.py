from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.config.listen import Listen, parse_listen, path_flaw

PLACES = st.one_of(
    st.builds(lambda words: Listen(unix=Path("/", *words)), st.lists(st.sampled_from(["a", ":", "ä b"]), min_size=1)),
    st.builds(Listen, st.none(), st.ip_addresses().map(str), st.integers(1, 65_535)),
)


@given(PLACES)
def test_a_place_is_read_back_from_what_it_is_written_as(place: Listen) -> None:
    assert parse_listen(str(place)) == place


def test_the_same_place_spelled_twice_is_one() -> None:
    assert parse_listen("inet:[0::1]:10027") == parse_listen("inet:[::1]:10027")
    assert parse_listen("unix:/run//x/./y") == parse_listen("unix:/run/x/y")


@pytest.mark.parametrize("text", ["/a", "/a/b.c", "/a..b", "/...", "/a/", "//a", "/ä b"])
def test_an_absolute_path_is_a_path(text: str) -> None:
    assert path_flaw(text) == ""


@pytest.mark.parametrize("text", ["", "a", "./a", "~/a", "/..", "/a/../b", "/", "///", "/a\nb", "/a\x00", "/\x7f"])
def test_what_depends_on_where_one_stands_or_cannot_be_a_file_is_no_path(text: str) -> None:
    assert path_flaw(text)
