"""Addresses that stand for many: a gateway, or the bridge of containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from poprelay.address import Network
from poprelay.daemon.configure import Config
from poprelay.mta import Finding
from poprelay.mta.host import bridges, gateways


def faults(config: Config, grants: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Those that may relay, or that the config lets in."""
    gates, crowds = gateways(), bridges()
    why = "everybody behind it may relay"
    for address in sorted({row["address"] for row in grants}):
        network = _network(address)
        if address in gates:
            mend = f'poprelay revoke --address {address}; deny_networks = ["{address}"] in our config'
            yield Finding("danger", "ledger", f"the gateway {address} may relay", why, mend)
        elif any(_overlap(network, crowd) for crowd in crowds):
            mend = f"poprelay revoke --address {address}; let the containers' clients be seen by their own addresses"
            yield Finding("danger", "ledger", f"{address} is on a bridge of containers, and may relay", why, mend)
    for allowed in config.settings.relay.allow_networks:
        for crowd in crowds:
            if _overlap(allowed, crowd):
                what = f"relay.allow_networks has {allowed}, which holds the bridge of containers {crowd}"
                yield Finding("danger", "config", what, why, f"take {allowed} out of allow_networks")


def _network(address: str) -> Network:
    return ip_network(address) if "/" in address else ip_network(ip_address(address))


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
