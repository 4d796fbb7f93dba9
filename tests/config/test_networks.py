from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.address import canonical, covers, parse_network
from poprelay.config.networks import network_flaw, parse_config_network

FLAWED = st.one_of(
    st.text(max_size=12),
    st.builds("{}/{}".format, st.ip_addresses(), st.integers(0, 140)),
    st.builds("::ffff:{}/{}".format, st.ip_addresses(v=4), st.integers(90, 128)),
    st.builds("{}%{}".format, st.ip_addresses(v=6), st.text(max_size=3)),
).filter(lambda text: parse_config_network(text) is None)


@given(FLAWED)
def test_every_text_that_is_no_network_gets_a_reason(text: str) -> None:
    message, _ = network_flaw(text)
    assert message


@pytest.mark.parametrize("text", ["192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "::/0", "0.0.0.0/0", "[2001:db8::]"])
def test_networks_and_addresses_are_networks(text: str) -> None:
    assert parse_config_network(text) == parse_network(text)


def test_a_network_that_addresses_never_lie_in_is_refused_and_the_one_that_was_meant_is_named() -> None:
    mapped = "::ffff:192.0.2.0/120"
    address = canonical("::ffff:192.0.2.7")
    assert address == "192.0.2.7"
    assert not covers(ip_network(mapped), address)
    assert parse_config_network(mapped) is None
    assert network_flaw(mapped)[1] == 'write "192.0.2.0/24"'


def test_the_ipv6_internet_holds_the_mapped_range_and_is_still_a_network() -> None:
    assert parse_config_network("::/0") == ip_network("::/0")
