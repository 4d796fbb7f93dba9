"""Postfix: what it trusts anyway.

A client in `mynetworks` (postconf(5)) may relay without us, so a login from there opens no grant: it would add nothing,
and often such an address is a gateway or a web mail server with many people behind it.

`mynetworks` is a list, separated by commas and spaces; the first match decides; `!` excludes. Of it we read networks
and addresses. Tables (`hash:…`, `cidr:…`), files (`/…`) and host names are skipped with a remark: a table is looked up,
not listed, and what it says can change at any time.

>>> networks, remarks = parse("!192.0.2.128/25 192.0.2.0/24, [2001:db8::]/32 hash:/etc/postfix/nets")
>>> [str(network) for network in networks], remarks
(['192.0.2.0/25', '2001:db8::/32'], ('mynetworks: skipped the table hash:/etc/postfix/nets',))
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import Path
from typing import Final, NamedTuple

from poprelay.address import Network
from poprelay.errors import MtaError
from poprelay.mta.postfix import postconf as program
from poprelay.mta.postfix.postconf import TIMEOUT, shown

MAIN: Final = Path("/etc/postfix/main.cf")
"""Where this is not, and there is no postconf, there is no Postfix, and nothing that it trusts."""


class Trusted(NamedTuple):
    """The networks that Postfix trusts, and sentences for the operator about what could not be read."""

    networks: tuple[Network, ...]
    remarks: tuple[str, ...]


def trusted_networks(*, postconf: str = "", config_directory: Path | None = None, timeout: float = TIMEOUT) -> Trusted:
    """Ask postconf for `mynetworks`. Blocks for up to `timeout` seconds; never raises: what fails is a remark.

    An instance of its own (postmulti(1)) is named by `config_directory`. What master.cf sets for single services with
    `-o mynetworks=` is not looked at.
    """
    asked = postconf or program.find()
    if not asked:
        remark = "mynetworks: no postconf on PATH nor in /usr/sbin, so what Postfix trusts is not known"
        return Trusted((), (remark,) if MAIN.exists() else ())
    where = ["-c", str(config_directory)] if config_directory else []
    try:
        return parse(program.ask(asked, *where, "-hx", "mynetworks", timeout=timeout))
    except MtaError as error:
        return Trusted((), (f"mynetworks: {error}",))


def parse(text: str) -> Trusted:
    """Read the value of `mynetworks`, its `$names` expanded. What is not a network is a remark."""
    networks: list[Network] = []
    excluded: list[Network] = []
    remarks: list[str] = []
    for word in re.split(r"[\s,]+", text):
        pattern = word.lstrip("!")
        if not pattern:
            continue
        network = _network(pattern)
        if isinstance(network, str):
            remarks.append(f"mynetworks: skipped {network}")
        elif (len(word) - len(pattern)) % 2:
            excluded.append(network)
        else:
            networks.extend(_without(network, excluded))
            if network.prefixlen == 0:
                remarks.append(f"mynetworks: {pattern} trusts the whole internet; Postfix is an open relay")
    return Trusted(_collapsed(networks), tuple(remarks))


def _network(pattern: str) -> Network | str:
    """The network that `pattern` means, or what it is instead."""
    bare = pattern
    if pattern.startswith("["):
        inside, bracket, rest = pattern[1:].partition("]")
        bare = inside + rest
        if not bracket or ":" not in inside:
            return f"{shown(pattern)}, which is not an address"
    elif pattern.startswith("/"):
        return f"the file {shown(pattern)}"
    elif ":" in pattern:
        return f"the table {shown(pattern)}"
    elif not pattern[0].isdigit():
        return f"the name {shown(pattern)}"
    try:
        return ip_network(bare)
    except ValueError as error:
        return shown(str(error))


def _without(network: Network, excluded: list[Network]) -> list[Network]:
    """`network` less what stood before it with a `!`, for there the search ends."""
    parts = [network]
    for hole in excluded:
        parts = [rest for part in parts for rest in _less(part, hole)]
    return parts


def _less(part: Network, hole: Network) -> list[Network]:
    if isinstance(part, IPv4Network) and isinstance(hole, IPv4Network):
        if part.subnet_of(hole):
            return []
        return list(part.address_exclude(hole)) if hole.subnet_of(part) else [part]
    if isinstance(part, IPv6Network) and isinstance(hole, IPv6Network):
        if part.subnet_of(hole):
            return []
        return list(part.address_exclude(hole)) if hole.subnet_of(part) else [part]
    return [part]


def _collapsed(networks: list[Network]) -> tuple[Network, ...]:
    four = collapse_addresses(n for n in networks if isinstance(n, IPv4Network))
    six = collapse_addresses(n for n in networks if isinstance(n, IPv6Network))
    return (*four, *six)
