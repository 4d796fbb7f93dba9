from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from poprelay.address import is_canonical
from poprelay.mta.host import gateways, own_addresses

ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t000000CB\tFE7100CB\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
IPV6_ROUTE = """\
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000000000000000000000001 00000400 00000002 00000000 00000003     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo
"""  # noqa: E501 - as the kernel writes it


def test_the_loopback_address_is_our_own() -> None:
    assert "127.0.0.1" in own_addresses()


def test_every_address_of_our_own_is_canonical() -> None:
    assert all(map(is_canonical, own_addresses()))


def test_the_address_that_we_send_from_is_our_own() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.254", 9))
        except OSError:
            pytest.skip("this host has no route to anywhere")
        assert sock.getsockname()[0] in own_addresses()


@pytest.mark.skipif(sys.byteorder != "little", reason="the sample was taken on a little-endian machine")
def test_gateways_are_read_from_the_routing_tables(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTE)
    (tmp_path / "ipv6_route").write_text(IPV6_ROUTE)
    assert gateways(tmp_path) == {"192.0.2.1", "203.0.113.254", "2001:db8::1"}


def test_a_kernel_without_ipv6_has_ipv4_gateways_only(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTE)
    assert not any(":" in gateway for gateway in gateways(tmp_path))


def test_where_no_table_is_shown_there_are_no_gateways(tmp_path: Path) -> None:
    assert gateways(tmp_path / "gone") == frozenset()


def test_the_gateways_of_this_host_are_canonical_and_none_is_nowhere() -> None:
    found = gateways()
    assert all(map(is_canonical, found))
    assert not found & {"0.0.0.0", "::"}
