"""How lines name addresses."""

from __future__ import annotations

import pytest

from poprelay.maps.lines import COURIER, PLAIN, PLAIN_NETWORKS, QUOTED, SENDMAIL, TCPRULES, Form, Spelling, numerically

WRITTEN = [
    (PLAIN, "192.0.2.7", "192.0.2.7"),
    (PLAIN, "2001:db8::7", "2001:db8::7"),
    (PLAIN_NETWORKS, "2001:db8:0:1::/64", "2001:db8:0:1::/64"),
    (SENDMAIL, "192.0.2.7", "192.0.2.7"),
    (SENDMAIL, "2001:db8::7", "IPv6:2001:db8:0:0:0:0:0:7"),
    (SENDMAIL, "2001:db8:a0:b::10", "IPv6:2001:db8:a0:b:0:0:0:10"),
    (QUOTED, "192.0.2.7", "192.0.2.7"),
    (QUOTED, "2001:db8::7", '"2001:db8::7"'),
    (QUOTED, "2001:db8:0:1::/64", '"2001:db8:0:1::/64"'),
    (COURIER, "192.0.2.7", "192.0.2.7"),
    (COURIER, "2001:db8::7", ":2001:0db8:0000:0000:0000:0000:0000:0007"),
]


@pytest.mark.parametrize(("spelling", "key", "written"), WRITTEN)
def test_a_key_is_written_as_the_mta_spells_it_and_read_back(spelling: Spelling, key: str, written: str) -> None:
    form = Form("<", ">\tRELAY", spelling)
    assert form.lines(key) == (f"<{written}>\tRELAY",)
    assert form.key(f"<{written}>\tRELAY") == key


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        (PLAIN, "192.0.2"),
        (PLAIN, "2001:DB8::7"),
        (PLAIN, "2001:db8:0:1::/64"),
        (PLAIN_NETWORKS, "2001:db8::/32"),
        (PLAIN_NETWORKS, "10.0.0.0/8"),
        (SENDMAIL, "2001:db8::7"),
        (SENDMAIL, "IPv6:2001:db8::7"),
        (SENDMAIL, "IPv6:2001:db8"),
        (SENDMAIL, "ipv6:2001:db8:0:0:0:0:0:7"),
        (QUOTED, "2001:db8::7"),
        (QUOTED, '"192.0.2.7"'),
        (QUOTED, '"'),
        (COURIER, ":2001:0db8"),
        (COURIER, ":2001:db8:0:0:0:0:0:7"),
        (COURIER, "2001:0db8:0000:0000:0000:0000:0000:0007"),
        (COURIER, ""),
        (TCPRULES, "2001:db8:5:1::"),
        (TCPRULES, "192.0.2."),
        (TCPRULES, "::FFFF:192.0.2.7"),
        (TCPRULES, "2001:db8:0:0:0:0:0:7"),
    ],
)
def test_what_we_would_not_have_written_is_no_key(spelling: Spelling, text: str) -> None:
    assert Form("", "", spelling).key(text) is None


@pytest.mark.parametrize(
    ("key", "spellings"),
    [
        ("192.0.2.7", ("192.0.2.7", "::ffff:192.0.2.7")),
        ("2001:db8::7", ("2001:db8::7",)),
        ("2001:db8:0:1:2:3:4:7", ("2001:db8:0:1:2:3:4:7", "2001:db8::1:2:3:4:7")),
        ("2001:db8:0:1:0:3:4:7", ("2001:db8:0:1:0:3:4:7", "2001:db8::1:0:3:4:7")),
        ("2001:db8:5:1:2:3:4:0", ("2001:db8:5:1:2:3:4:0",)),
        ("2001:db8:5:1::", ()),
    ],
)
def test_tcpserver_gets_every_spelling_of_an_address_that_is_no_network_to_it(
    key: str, spellings: tuple[str, ...]
) -> None:
    form = Form("", ":allow", TCPRULES)
    assert form.lines(key) == tuple(f"{spelling}:allow" for spelling in spellings)
    assert {form.key(line) for line in form.lines(key)} <= {key}


def test_what_stands_around_the_address_must_be_there() -> None:
    form = Form("Connect:", "\tRELAY", SENDMAIL)
    assert form.key("Connect:192.0.2.7\tRELAY") == "192.0.2.7"
    for line in ("192.0.2.7\tRELAY", "Connect:192.0.2.7", "Connect:192.0.2.7\tREJECT", "connect:192.0.2.7\tRELAY", ""):
        assert form.key(line) is None, line


def test_keys_are_sorted_by_number_ipv4_first_and_a_network_before_what_lies_in_it() -> None:
    ordered = ["9.0.0.1", "10.0.0.1", "2001:db8::", "2001:db8::/64", "2001:db8::9", "2001:db8::10"]
    assert sorted(set(ordered), key=numerically) == ordered
