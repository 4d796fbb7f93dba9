"""Addresses: reading them, their one canonical form, the ranges that are nobody's client, and the /64.

Canonical is what `inet_ntop` writes for IPv4 and RFC 5952 for IPv6: lower case, shortest, no brackets, no zone. An
IPv4-mapped IPv6 address is its IPv4 address. Anything else is no address at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final, Generic, TypeAlias, TypeVar

import radix

from poprelay.model import Address

Network: TypeAlias = IPv4Network | IPv6Network
T = TypeVar("T")

_MAPPED = b"\0" * 10 + b"\xff\xff"


def canonical(text: str) -> Address | None:
    """The canonical form of one full address, or None if `text` is not exactly one.

    >>> canonical("192.0.2.7"), canonical("2001:DB8:0::7"), canonical("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::7', '192.0.2.7')
    >>> canonical("192.0.2"), canonical("192.0.2.07"), canonical("fe80::1%eth0"), canonical("[::1]"), canonical("mx")
    (None, None, None, None, None)
    """
    try:
        if ":" not in text:
            return Address(inet_ntop(AF_INET, inet_pton(AF_INET, text)))
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        return None
    if packed.startswith(_MAPPED):
        return Address(inet_ntop(AF_INET, packed[12:]))
    if packed.startswith(_LOW):  # inet_ntop writes ::192.0.2.7 where RFC 5952 has ::c000:207
        return Address(str(IPv6Address(packed)))
    return Address(inet_ntop(AF_INET6, packed))


_LOW = b"\0" * 12


def widened(address: Address, ipv6_prefix: int) -> Address:
    """What a grant of `address` covers: itself, or its IPv6 network where grants are wider than one address.

    >>> widened(Address("2001:db8:0:1::7"), 64), widened(Address("192.0.2.7"), 64)
    ('2001:db8:0:1::/64', '192.0.2.7')
    """
    if ipv6_prefix == 128 or ":" not in address:
        return address
    return Address(str(IPv6Network((address, ipv6_prefix), strict=False)))


def is_canonical(text: str) -> bool:
    """Whether `text` is one full address in its canonical form: the only key that an MTA's file may hold."""
    return canonical(text) == text


def order(address: str) -> tuple[int, int, int]:
    """A sort key that puts addresses and networks in numerical order, IPv4 first."""
    network = ip_network(address)
    return (network.version, int(network.network_address), network.prefixlen)


def covers(network: Network, address: Address) -> bool:
    """Whether `address` (one address, or a granted network) lies in `network`."""
    inner = ip_network(address)
    if isinstance(inner, IPv4Network):
        return isinstance(network, IPv4Network) and inner.subnet_of(network)
    return isinstance(network, IPv6Network) and inner.subnet_of(network)


class Networks(Generic[T]):
    """A set of networks, each with a word about it; asks are by longest match.

    >>> inside = Networks([(ip_network("192.0.2.0/24"), "documentation")])
    >>> inside.find(Address("192.0.2.7")), inside.find(Address("192.0.3.7"))
    ('documentation', None)
    """

    def __init__(self, members: Iterable[tuple[Network, T]] = ()) -> None:
        self._tree = radix.Radix()
        for network, word in members:
            self._tree.add(str(network)).data["word"] = word

    def find(self, address: Address) -> T | None:
        """The word of the longest network that holds `address` (or the whole granted network), or None."""
        host, slash, length = address.partition("/")
        node = self._tree.search_best(host, int(length)) if slash else self._tree.search_best(host)
        return None if node is None else node.data["word"]


SPECIAL: Final[tuple[tuple[str, str], ...]] = (
    # IANA IPv4 Special-Purpose Address Registry, RFC 6890 and its updates
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "CGNAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    # IANA IPv6 Special-Purpose Address Registry; only 2000::/3 is global unicast at all (RFC 4291)
    ("::/3", "not global unicast"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard"),
    ("2001::/23", "protocol assignments"),
    ("2001::/32", "Teredo"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("4000::/2", "not global unicast"),
    ("8000::/1", "not global unicast"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
"""Ranges whose addresses are not one client of ours out in the world, with the word that a refusal uses."""

_SPECIAL: Networks[str] = Networks((ip_network(text), word) for text, word in SPECIAL)


def special(address: Address) -> str | None:
    """The word for the special range that `address` lies in, or None for an ordinary global address.

    >>> special(Address("127.0.0.1")), special(Address("100.64.3.1")), special(Address("9.9.9.9"))
    ('loopback', 'CGNAT', None)
    """
    return _SPECIAL.find(address)


def parse_network(text: str) -> Network:
    """Read `192.0.2.0/24`, `2001:db8::/32` or one address; ValueError says what is wrong (host bits included)."""
    return ip_network(text.strip("[]") if text.startswith("[") and text.endswith("]") else text)


def host(address: IPv4Address | IPv6Address | str) -> Address:
    """The canonical form of an address that is known to be one; ValueError if it is not."""
    found = canonical(str(ip_address(str(address).partition("%")[0])))
    if found is None:
        raise ValueError(f"{address} is not an address")
    return found
