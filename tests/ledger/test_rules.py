"""'Rules' in the ledger's section of the design."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from ledger.desk import HOME, HOUR, START, Desk, login, said
from poprelay.address import SPECIAL, Network, parse_network, special
from poprelay.ledger import rules as module
from poprelay.ledger.reasons import CLOSED, REFUSED
from poprelay.ledger.rules import Rules, RuleTerms, Surroundings
from poprelay.model import Address

LAN = Address("192.168.1.7")
OURS = Address("9.9.8.1")
GATEWAY = Address("9.9.8.254")
SEEN = Surroundings(
    own=frozenset({OURS, Address("2a00:1450:4001:80b::1")}),
    gateways=frozenset({GATEWAY}),
    mta=(ip_network("9.9.10.0/24"), ip_network("127.0.0.0/8"), ip_network("::1/128")),
)


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(parse_network(text) for text in texts)


def test_rules_refuse_with_a_reason_and_never_allow_on_their_own() -> None:
    rules = Rules(RuleTerms(allow_networks=networks("9.9.9.0/24")))
    assert rules.refusal(HOME, "ann", None) is None
    desk = Desk(rules)
    assert not desk.allowed()


def test_every_reason_is_one_short_word() -> None:
    assert all(reason == reason.lower() and " " not in reason for reason in (*REFUSED, *CLOSED))


def test_denied_networks_and_users_come_first() -> None:
    terms = RuleTerms(
        deny_networks=networks("9.9.9.9", "2a00::/16"),
        deny_users=frozenset({"eve"}),
        allow_networks=networks("9.9.9.0/24", "2a00::/16"),
        require_tls=True,
    )
    rules = Rules(terms)
    assert rules.refusal(HOME, "ann", None) == "denied"
    assert rules.refusal(Address("9.9.9.8"), "eve", None) == "denied"
    assert rules.refusal(Address("2a00::1"), "ann", True) == "denied"
    assert rules.refusal(Address("9.9.9.8"), "ann", True) is None


def test_a_stored_denial_comes_before_allow_networks_too() -> None:
    desk = Desk(Rules(RuleTerms(allow_networks=networks("192.168.0.0/16"), require_tls=True)))
    desk.revoke(LAN, deny=HOUR)
    assert said(desk.login(address=LAN, tls=False)) == ["refused ann denied"]


@pytest.mark.parametrize(("network", "word"), SPECIAL)
def test_special_ranges_are_refused_by_an_explicit_table(network: str, word: str) -> None:
    first, last = (Address(str(ip_network(network)[index])) for index in (0, -1))
    rules = Rules(RuleTerms())
    for address in (first, last):
        found = special(address)
        assert found is not None
        assert rules.refusal(address, "ann", True) == f"special:{found.lower().replace(' ', '-')}"
    assert word


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.7", "private"),
        ("fd00::7", "private"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("100.64.0.1", "cgnat"),
        ("100.127.255.255", "cgnat"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("192.0.2.7", "documentation"),
        ("2001:db8::7", "documentation"),
        ("255.255.255.255", "reserved"),
        ("4000::1", "not-global-unicast"),
    ],
)
def test_loopback_private_link_local_cgnat_multicast_unspecified_documentation_and_anything_not_global(
    address: str, word: str
) -> None:
    assert Rules(RuleTerms()).refusal(Address(address), "ann", True) == f"special:{word}"


@pytest.mark.parametrize(
    "address", ["9.9.9.9", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2a00::1", "2001:4860::8"]
)
def test_their_neighbours_are_not(address: str) -> None:
    assert Rules(RuleTerms()).refusal(Address(address), "ann", True) is None


def test_this_hosts_own_addresses_and_its_gateways_are_refused() -> None:
    rules = Rules(RuleTerms(), SEEN)
    assert rules.refusal(OURS, "ann", True) == "own-address"
    assert rules.refusal(Address("2a00:1450:4001:80b::1"), "ann", True) == "own-address"
    assert rules.refusal(GATEWAY, "ann", True) == "gateway-address"
    assert rules.refusal(Address("9.9.8.2"), "ann", True) is None


def test_the_surroundings_are_looked_at_again_and_then_hold_at_once() -> None:
    rules = Rules(RuleTerms())
    assert rules.refusal(OURS, "ann", True) is None
    rules.surroundings = SEEN
    assert rules.refusal(OURS, "ann", True) == "own-address"
    rules.surroundings = Surroundings()
    assert rules.refusal(OURS, "ann", True) is None


def test_excluded_networks_are_refused_and_mta_means_what_the_mta_trusts() -> None:
    rules = Rules(RuleTerms(exclude_networks=networks("9.9.11.0/24")), SEEN)
    assert rules.refusal(Address("9.9.11.1"), "ann", True) == "excluded"
    assert rules.refusal(Address("9.9.10.1"), "ann", True) == "excluded"
    assert Rules(RuleTerms(exclude_mta=False), SEEN).refusal(Address("9.9.10.1"), "ann", True) is None


def test_what_the_mta_trusts_does_not_hide_that_a_range_is_special() -> None:
    assert Rules(RuleTerms(), SEEN).refusal(Address("127.0.0.1"), "ann", True) == "special:loopback"


@pytest.mark.parametrize("address", [LAN, OURS, GATEWAY, Address("9.9.10.1")])
def test_allow_networks_lifts_the_third_group_for_its_networks(address: Address) -> None:
    rules = Rules(RuleTerms(allow_networks=networks(str(address))), SEEN)
    assert rules.refusal(address, "ann", True) is None
    assert rules.refusal(Address("192.168.1.8"), "ann", True) == "special:private"


def test_allow_networks_does_not_lift_require_tls() -> None:
    rules = Rules(RuleTerms(allow_networks=networks("192.168.0.0/16"), require_tls=True))
    assert rules.refusal(LAN, "ann", False) == "no-tls"


@pytest.mark.parametrize(("tls", "reason"), [(True, None), (False, "no-tls"), (None, "no-tls")])
def test_with_require_tls_unknown_counts_as_without(tls: bool | None, reason: str | None) -> None:
    assert Rules(RuleTerms(require_tls=True)).refusal(HOME, "ann", tls) == reason


def test_a_special_range_is_said_before_missing_tls_and_both_before_the_caps() -> None:
    desk = Desk(Rules(RuleTerms(require_tls=True)), max_grants=0)
    assert said(desk.login(address=LAN, tls=False)) == ["refused ann special:private"]
    assert said(desk.login(tls=False)) == ["refused ann no-tls"]
    assert said(desk.login()) == ["refused ann too-many-grants"]


def test_a_refused_login_does_not_renew_a_grant_either() -> None:
    desk = Desk(Rules(RuleTerms(require_tls=True)))
    desk.login()
    desk.now += 60
    assert said(desk.login(tls=False)) == ["refused ann no-tls"]
    assert desk.grant().until == START + desk.ledger.terms.period


@pytest.mark.parametrize("network", ["127.0.0.0/8", "127.0.0.1", "0.0.0.0/0", "::1", "::/0"])
def test_allow_networks_that_covers_loopback_is_warned_about(network: str) -> None:
    (warning,) = Rules(RuleTerms(allow_networks=networks(network))).warnings()
    assert "covers loopback" in warning


def test_other_allow_networks_are_not() -> None:
    assert Rules(RuleTerms(allow_networks=networks("192.168.0.0/16", "fd00::/8"))).warnings() == []


@pytest.mark.parametrize(
    ("address", "user", "sentence"),
    [
        (HOME, "", None),
        (LAN, "", "192.168.1.7 lies in a special range (private); allow_networks can lift that"),
        (Address("9.9.12.1"), "", "deny_networks has 9.9.12.1"),
        (HOME, "eve", "deny_users names eve"),
        (OURS, "", "9.9.8.1 is an address of this host; allow_networks can lift that"),
        (
            GATEWAY,
            "",
            "9.9.8.254 is a gateway of this host, behind which others may hide; allow_networks can lift that",
        ),
        (
            Address("9.9.10.1"),
            "",
            "9.9.10.1 is in exclude_networks: the MTA trusts it anyway, so it needs no grant",
        ),
    ],
)
def test_why_an_address_would_be_refused_is_said_in_a_sentence(
    address: Address, user: str, sentence: str | None
) -> None:
    rules = Rules(RuleTerms(deny_networks=networks("9.9.12.0/24"), deny_users=frozenset({"eve"})), SEEN)
    assert rules.sentence(address, user) == sentence


def test_the_most_special_range_gives_the_word() -> None:
    rules = Rules(RuleTerms(allow_networks=networks("192.168.0.0/16"), deny_networks=networks("192.168.1.0/24")))
    assert rules.judge(LAN, "ann") == "denied"
    assert rules.judge(Address("192.168.2.1"), "ann") is None
    assert rules.judge(Address("2001::1"), "ann") == "special:teredo"


WIDE = Address("2a00:1450:4001:80b::/64")


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (RuleTerms(), "own-address"),
        (RuleTerms(deny_networks=networks("2a00:1450:4001:80b::9")), "denied"),
        (RuleTerms(allow_networks=networks("2a00:1450:4001:80b::/64")), None),
        (RuleTerms(allow_networks=networks("2a00:1450:4001:80b::/65")), "own-address"),
    ],
)
def test_a_network_is_refused_if_any_address_in_it_is(terms: RuleTerms, reason: str | None) -> None:
    assert Rules(terms, SEEN).judge(WIDE, "ann") == reason


def test_a_network_with_an_excluded_address_is_excluded_and_a_clean_one_is_not() -> None:
    rules = Rules(RuleTerms(exclude_networks=networks("2a00::5")))
    assert rules.judge(Address("2a00::/64"), "ann") == "excluded"
    assert rules.judge(Address("2a00:0:0:1::/64"), "ann") is None
    assert rules.judge(Address("::/64"), "ann") == "special:not-global-unicast"


def test_many_addresses_do_not_fill_the_memory_of_judgements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHE", 100)
    rules = Rules(RuleTerms())
    for number in range(250):
        rules.refusal(Address(f"9.9.9.{number}"), "ann", None)
    assert 0 < len(rules._words) <= 100
    assert rules.refusal(LAN, "ann", None) == "special:private"


def test_a_login_in_a_batch_is_judged_by_the_address_its_grant_would_cover() -> None:
    desk = Desk(Rules(RuleTerms(), SEEN), ipv6_prefix=64)
    assert said(desk.take(login(address=Address("2a00:1450:4001:80b::7"), at=START))) == ["refused ann own-address"]
