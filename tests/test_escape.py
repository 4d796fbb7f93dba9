from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.escape import show

ANY = st.text(alphabet=st.characters(), max_size=30)


@given(ANY)
def test_nothing_that_is_shown_controls_hides_or_turns_what_stands_beside_it(text: str) -> None:
    for character in show(text):
        assert character == " " or unicodedata.category(character)[0] not in "CZ"


@given(ANY)
def test_what_prints_is_shown_as_it_is_and_only_what_does_not_is_longer(text: str) -> None:
    plain = "".join(character for character in text if character.isprintable())
    assert show(plain) == plain
    assert re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", "", show(plain.replace("\\", "") + "\x07")) == (
        plain.replace("\\", "")
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Zoë 茶 😀", "Zoë 茶 😀"),
        ("", ""),
        ("a\tb\r\n", r"a\x09b\x0d\x0a"),
        ("\x00\x1b[2J\x7f", r"\x00\x1b[2J\x7f"),
        ("\x85\x9b31m", r"\x85\x9b31m"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800\udc00\udcff", r"\ud800\udc00\xff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u202e\u2066\u200f\u061c", r"\u202e\u2066\u200f\u061c"),
        ("a\u200bb\ufeff\xad", r"a\u200bb\ufeff\xad"),
        ("\U000e0041", r"\U000e0041"),
        ("a\xa0b\u3000c", r"a\xa0b\u3000c"),
    ],
)
def test_each_kind_of_character_is_shown_in_its_way(text: str, shown: str) -> None:
    assert show(text) == shown


def test_bytes_that_are_not_utf_8_are_shown_as_their_values() -> None:
    assert show(b"j\xf6rg\xff\n".decode("utf-8", "surrogateescape")) == r"j\xf6rg\xff\x0a"
