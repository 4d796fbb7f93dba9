"""Rules: may this login open a grant? They refuse, with a reason; they never allow on their own.

In this order: deny > `allow_networks` > special ranges, this host's own addresses, its gateways, `exclude_networks` >
`require_tls`. `allow_networks` lifts the third group for its networks. The caps and the stored denials need the
ledger's memory; `Draft` adds them at their places.

Where a grant covers a whole IPv6 network, all of it is judged: it is refused if any address in it is, and only a
network of `allow_networks` that holds all of it lifts anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Network, ip_network

import msgspec

from poprelay.address import SPECIAL, Network, Networks, special
from poprelay.model import Address

_CACHE = 131_072


class RuleTerms(msgspec.Struct, frozen=True):
    """What the config says to the rules. `exclude_mta` adds what the MTA trusts anyway to `exclude_networks`."""

    deny_networks: tuple[Network, ...] = ()
    deny_users: frozenset[str] = frozenset()
    allow_networks: tuple[Network, ...] = ()
    exclude_networks: tuple[Network, ...] = ()
    exclude_mta: bool = True
    require_tls: bool = False


class Surroundings(msgspec.Struct, frozen=True):
    """What the host is, as far as the rules care: its own addresses, its gateways, and the networks its MTA trusts."""

    own: frozenset[Address] = frozenset()
    gateways: frozenset[Address] = frozenset()
    mta: tuple[Network, ...] = ()


class Rules:
    """The rules as configured, among the surroundings as last seen.

    >>> rules = Rules(RuleTerms(deny_users=frozenset({"eve"}), require_tls=True))
    >>> rules.refusal(Address("9.9.9.9"), "ann", True), rules.refusal(Address("9.9.9.9"), "ann", None)
    (None, 'no-tls')
    >>> rules.judge(Address("9.9.9.9"), "eve"), rules.judge(Address("10.1.2.3"), "ann")
    ('denied', 'special:private')
    """

    def __init__(self, terms: RuleTerms, surroundings: Surroundings | None = None) -> None:
        self.terms = terms
        self._surroundings = surroundings or Surroundings()
        self._ranges: dict[int, _Ranges] = {}
        self._words: dict[Address, str | None] = {}

    @property
    def surroundings(self) -> Surroundings:
        """What was last seen around. Setting it affects logins from now on."""
        return self._surroundings

    @surroundings.setter
    def surroundings(self, seen: Surroundings) -> None:
        if seen != self._surroundings:
            self._surroundings = seen
            self._ranges.clear()
            self._words.clear()

    def judge(self, address: Address, user: str) -> str | None:
        """The reason to refuse that needs only address and user, or None."""
        return "denied" if user in self.terms.deny_users else self._among(address).word(address)

    def refusal(self, address: Address, user: str, tls: bool | None) -> str | None:
        """The first reason to refuse this login, or None; without the caps. Unknown `tls` counts as without."""
        if user in self.terms.deny_users:
            return "denied"
        word = self._words.get(address, "")  # who logs in has often done so before; who is judged at a start has not
        if word == "":
            if len(self._words) >= _CACHE:
                self._words.clear()
            word = self._words[address] = self._among(address).word(address)
        if word is None and self.terms.require_tls and not tls:
            return "no-tls"
        return word

    def needs_force(self, address: Address) -> str | None:
        """The reason why even an operator's `allow` wants to be sure about this address, or None."""
        return self._among(address).forced(address)

    def sentence(self, address: Address, user: str = "") -> str | None:
        """Why a login from this address would open nothing, as a sentence; None if no rule refuses the address."""
        reason = self.judge(address, user)
        if reason is None:
            return None
        if user in self.terms.deny_users:
            return f"deny_users names {user}"
        reason, _, word = reason.partition(":")
        return {
            "denied": f"deny_networks has {address}",
            "special": f"{address} lies in a special range ({word}); allow_networks can lift that",
            "own-address": f"{address} is an address of this host; allow_networks can lift that",
            "gateway-address": f"{address} is a gateway of this host, behind which others may hide; "
            "allow_networks can lift that",
            "excluded": f"{address} is in exclude_networks: the MTA trusts it anyway, so it needs no grant",
        }[reason]

    def warnings(self) -> list[str]:
        """What is allowed by these rules but hardly meant, each as a sentence."""
        loopback = [ip_network(text) for text, word in SPECIAL if word == "loopback"]
        return [
            f"allow_networks has {network}, which covers loopback ({local}): "
            "whoever reaches a service on this host through a local proxy, webmail or tunnel may get to relay"
            for network in self.terms.allow_networks
            for local in loopback
            if network.overlaps(local)
        ]

    def _among(self, address: Address) -> _Ranges:
        length = int(address.partition("/")[2]) if "/" in address else 128
        ranges = self._ranges.get(length)
        if ranges is None:
            ranges = self._ranges[length] = _Ranges(self.terms, self._surroundings, length)
        return ranges


class _Ranges:
    """The networks of all rules, for judging IPv6 networks of one length (128: single addresses)."""

    def __init__(self, terms: RuleTerms, seen: Surroundings, length: int) -> None:
        def known(networks: Iterable[Network], word: str) -> Networks[str]:
            """The networks, each at least as wide as what is judged; so whatever they touch is found."""
            wide = [_widened(network, length) for network in networks]
            every.update(wide)
            return Networks((network, word) for network in wide)

        every: set[Network] = {_widened(ip_network(text), length) for text, _ in SPECIAL}
        self._deny = known(terms.deny_networks, "denied")
        lifting = [network for network in terms.allow_networks if network.prefixlen <= length]
        self._allow = known(lifting, "lifted")
        self._own = known(map(ip_network, seen.own), "own-address")
        self._gateways = known(map(ip_network, seen.gateways), "gateway-address")
        mta = seen.mta if terms.exclude_mta else ()
        self._exclude = known((*terms.exclude_networks, *mta), "excluded")
        self._words: Networks[str | None] = Networks((network, self._judge(Address(str(network)))) for network in every)

    def word(self, address: Address) -> str | None:
        """The reason to refuse the address, by one look: each network carries what holds for the rest of it."""
        return self._words.find(address)

    def forced(self, address: Address) -> str | None:
        """The reason, if it is one that the operator must insist against."""
        if self._allow.find(address):
            return None
        range_ = special(address)
        if range_:
            return f"special:{range_.lower().replace(' ', '-')}"
        return self._own.find(address) or self._gateways.find(address)

    def _judge(self, network: Address) -> str | None:
        if self._deny.find(network):
            return "denied"
        if self._allow.find(network):
            return None
        return self.forced(network) or self._exclude.find(network)


def _widened(network: Network, length: int) -> Network:
    if isinstance(network, IPv6Network) and network.prefixlen > length:
        return network.supernet(new_prefix=length)
    return network
