"""Postfix's `cidr:` map, a text file of addresses and networks, with a reload for each change, as `texthash` has it.

    check_client_access cidr:/var/lib/poprelay/relay        192.0.2.7 OK   2001:db8:0:1::/64 OK

The one map of Postfix's that can say an IPv6 network. Postfix compares with each line in turn, and the first that fits
decides: a person's line about a network, above the marker, goes before ours about an address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poprelay.maps.lines import PLAIN_NETWORKS
from poprelay.maps.text import TextMap
from poprelay.maps.texthash import read_reloaded

if TYPE_CHECKING:
    from poprelay.config.section import Section


class CidrMap:
    """Makes the text map with Postfix's lines, and the reload after each change."""

    @staticmethod
    def from_section(section: Section) -> TextMap:
        return read_reloaded(section, "cidr", PLAIN_NETWORKS)
