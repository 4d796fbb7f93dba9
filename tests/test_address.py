from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.address import SPECIAL, Networks, canonical, covers, host, is_canonical, order, special, widened
from poprelay.model import Address

ANY = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


def nearest(text: str) -> str | None:
    """The word of the narrowest row that holds an address: the table, read the slow way."""
    address = ip_address(text)
    rows = [(ip_network(network), word) for network, word in SPECIAL]
    holding = [(row.prefixlen, word) for row, word in rows if row.version == address.version and address in row]
    return max(holding, default=(0, None))[1]


@pytest.mark.parametrize(("network", "word"), SPECIAL, ids=[f"{network} {word}" for network, word in SPECIAL])
def test_each_special_range_begins_and_ends_where_it_says(network: str, word: str) -> None:
    range_ = ip_network(network)
    first, last = int(range_.network_address), int(range_.broadcast_address)
    kind = IPv4Address if range_.version == 4 else IPv6Address
    for number in (first, last):
        text = canonical(str(kind(number)))
        if text is not None and (range_.version == 4 or ":" in text):
            assert special(text) == nearest(text) is not None
    inside = {nearest(str(kind(number))) for number in (first, last, (first + last) // 2)}
    assert word in inside or word == "not global unicast"
    for number in (first - 1, last + 1):
        if 0 <= number < 2**range_.max_prefixlen:
            outside = Address(str(kind(number)))
            assert special(outside) == nearest(outside)


@pytest.mark.parametrize(
    "text",
    [
        "1.0.0.0",
        "9.9.9.9",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::",
        "2001:200::",
        "2003::1",
        "2620:fe::9",
        "3ffe:ffff::1",
    ],
)
def test_ordinary_addresses_beside_special_ranges_are_not_special(text: str) -> None:
    assert special(Address(text)) is None


@given(ANY)
def test_no_address_that_is_not_global_is_ordinary(address: IPv4Address | IPv6Address) -> None:
    text = canonical(str(address))
    assert text is not None
    if special(text) is None:
        assert ip_address(text).is_global
        assert not ip_address(text).is_multicast


def test_a_network_is_as_special_as_what_holds_all_of_it() -> None:
    assert special(Address("2001:db8:0:1::/64")) == "documentation"
    assert special(Address("2620:fe:0:1::/64")) is None


@given(ANY)
def test_every_address_has_one_form(address: IPv4Address | IPv6Address) -> None:
    text = canonical(str(address))
    assert text is not None
    assert is_canonical(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    assert text == str(mapped or address)
    if isinstance(address, IPv6Address):
        assert canonical(address.exploded.upper()) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "192.0.2.7 ", " 192.0.2.7", "192.0.2.7\n", "192.0.2.7\0"),
        *[
            "192.0.2",
            "192.0.2.1.1",
            "192.0.2.01",
            "0x7f.0.0.1",
            "2130706433",
            "192.0.2.7.",
            "[::1]",
            "fe80::1%eth0",
            "::1/128",
        ],
        *["192.0.2.0/24", "1:2:3:4:5:6:7", ":::", "mx.example.org", "١.0.2.7", "IPv6:::1"],
    ],
)
def test_what_is_not_exactly_one_full_address_is_none(text: str) -> None:
    assert canonical(text) is None


def test_an_ipv4_address_in_ipv6_is_itself() -> None:
    assert canonical("::ffff:192.0.2.7") == canonical("::FFFF:c000:207") == "192.0.2.7"
    assert canonical("::192.0.2.7") == "::c000:207"


def test_only_ipv6_is_widened_and_to_its_own_network() -> None:
    assert widened(Address("2001:db8:0:1:2:3:4:5"), 64) == "2001:db8:0:1::/64"
    assert widened(Address("2001:db8::7"), 128) == "2001:db8::7"
    assert widened(Address("9.9.9.9"), 64) == "9.9.9.9"


def test_the_narrowest_network_has_the_say() -> None:
    both = Networks([(ip_network("10.0.0.0/8"), "wide"), (ip_network("10.1.0.0/16"), "narrow")])
    assert [both.find(Address(text)) for text in ("10.1.2.3", "10.2.0.1", "11.0.0.1", "::1")] == [
        "narrow", "wide", None, None,
    ]  # fmt: skip


def test_a_network_covers_addresses_and_networks_of_its_own_family_only() -> None:
    assert covers(ip_network("2620:fe::/48"), Address("2620:fe:0:1::/64"))
    assert not covers(ip_network("2620:fe::/64"), Address("2620:fe::/48"))
    assert not covers(ip_network("0.0.0.0/0"), Address("::1"))
    assert not covers(ip_network("::/0"), Address("9.9.9.9"))


def test_addresses_are_ordered_by_number_ipv4_first() -> None:
    wanted = ["9.9.9.9", "10.0.0.1", "100.0.0.1", "2620:fe::9", "2620:fe:0:1::/64"]
    assert sorted(sorted(wanted), key=order) == wanted


def test_a_host_loses_its_zone_and_nothing_that_is_no_address_is_one() -> None:
    assert host("fe80::1%eth0") == "fe80::1"
    with pytest.raises(ValueError, match="mx"):
        host("mx")
