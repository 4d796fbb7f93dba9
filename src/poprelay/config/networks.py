"""Networks as the config spells them, and what is wrong with those that it does not."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from poprelay.address import Network, parse_network

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def parse_config_network(text: str) -> Network | None:
    """The network that `text` spells, or None if it is none, or one that no address can ever lie in.

    >>> parse_config_network("192.0.2.0/24"), parse_config_network("192.0.2.7/24")
    (IPv4Network('192.0.2.0/24'), None)
    """
    try:
        network = parse_network(text)
    except ValueError:
        return None
    return None if "%" in text or _is_mapped(network) else network


def network_flaw(text: str, word: str = "") -> tuple[str, str]:
    """What is wrong with a text that is no network, and what to write instead; `word` is what else may stand there.

    >>> network_flaw("192.0.2.7/24")[1]
    'write "192.0.2.0/24" for the network, "192.0.2.7" for the address'
    >>> network_flaw("::ffff:192.0.2.0/120")[1]
    'write "192.0.2.0/24"'
    """
    like = 'write it like "192.0.2.0/24", "2001:db8::/32" or "192.0.2.7"'
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is not a network", like + (f', or the word "{word}"' if word else "")
    if "%" in text:
        return f"{text!r} names an interface", "leave out the % and what follows"
    if _is_mapped(network):
        packed, length = network.network_address.packed[12:], network.prefixlen - 96
        plain = IPv4Network((packed, length))
        return f"{text!r} is IPv4 written as IPv6, and addresses are looked up as IPv4", f'write "{plain}"'
    one = text.partition("/")[0]
    return f"{text!r} is an address within a network", f'write "{network}" for the network, "{one}" for the address'


def _is_mapped(network: Network) -> bool:
    return isinstance(network, IPv6Network) and network.subnet_of(_MAPPED)
