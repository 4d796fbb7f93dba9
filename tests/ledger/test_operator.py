"""What the operator orders: `allow`, and standing grants."""

from __future__ import annotations

import math

import pytest

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, login, said
from poprelay.address import parse_network
from poprelay.errors import Refused
from poprelay.ledger.rules import Rules, RuleTerms, Surroundings
from poprelay.model import Address, Grant

LAN = Address("192.168.1.7")
OURS = Address("9.9.8.1")


def test_allow_opens_a_grant_for_one_period_unless_it_says_how_long() -> None:
    desk = Desk()
    desk.allow(HOME, "ann")
    desk.allow(OFFICE, span=2 * HOUR)
    assert desk.grant() == Grant(HOME, "ann", "allow", START, START + PERIOD, START, START, PERIOD, "root", "why")
    assert desk.ends("", OFFICE) == 2 * HOUR


def test_allow_and_login_are_two_grants_of_one_user_there() -> None:
    desk = Desk()
    desk.login()
    desk.allow(HOME, "ann", span=HOUR)
    assert [grant.basis for grant in desk.ledger.grants(desk.now)] == ["login", "allow"]
    desk.now += PERIOD
    assert said(desk.expire()) == ["closed ann expired"]
    assert desk.grant().basis == "allow"


def test_allow_passes_deny_rules_and_stored_denials() -> None:
    desk = Desk(Rules(RuleTerms(deny_networks=(parse_network("9.9.9.9"),), deny_users=frozenset({"ann"}))))
    desk.revoke(HOME, deny=HOUR)
    assert said(desk.allow(HOME, "ann")) == ["opened ann"]


def test_allow_passes_caps() -> None:
    desk = Desk(max_grants=0, max_addresses_per_user=0, max_users_per_address=0)
    assert said(desk.allow(HOME, "ann")) == ["opened ann"]


@pytest.mark.parametrize("address", [LAN, OURS])
def test_a_special_range_needs_force(address: Address) -> None:
    desk = Desk(Rules(RuleTerms(), Surroundings(own=frozenset({OURS}))))
    with pytest.raises(Refused, match="force") as refused:
        desk.allow(address)
    assert refused.value.remedy
    assert len(desk.ledger) == 0
    assert said(desk.allow(address, force=True)) == ["opened "]


def test_a_special_range_that_is_also_denied_needs_force_too() -> None:
    desk = Desk(Rules(RuleTerms(deny_networks=(parse_network("192.168.0.0/16"),))))
    with pytest.raises(Refused):
        desk.allow(LAN)


def test_a_range_in_allow_networks_needs_no_force() -> None:
    desk = Desk(Rules(RuleTerms(allow_networks=(parse_network("192.168.0.0/16"),))))
    assert said(desk.allow(LAN)) == ["opened "]


def test_what_the_mta_trusts_anyway_needs_no_force() -> None:
    desk = Desk(Rules(RuleTerms(), Surroundings(mta=(parse_network("9.9.9.0/24"),))))
    assert said(desk.allow(HOME)) == ["opened "]


def test_allowing_again_extends_and_never_shortens() -> None:
    desk = Desk()
    desk.allow(span=2 * HOUR)
    assert said(desk.allow(span=HOUR)) == ["renewed "]
    assert desk.ends("") == 2 * HOUR
    desk.allow(span=3 * HOUR)
    assert (desk.ends(""), desk.grant("").span) == (3 * HOUR, 3 * HOUR)


def test_allowing_again_after_the_end_opens_anew() -> None:
    desk = Desk()
    desk.allow()
    desk.now += PERIOD
    assert said(desk.allow()) == ["closed  expired", "opened "]


def test_a_standing_grant_never_ends() -> None:
    desk = Desk()
    assert said(desk.stand((HOME, "printer", "in the hall"))) == ["opened printer"]
    assert desk.ledger.next_end() is None
    desk.now += 1000 * 24 * HOUR
    assert desk.grant("printer").until == math.inf
    assert desk.ledger.entry(HOME, desk.now) == (("printer",), START, math.inf)


def test_standing_grants_pass_deny_rules_caps_and_special_ranges() -> None:
    desk = Desk(Rules(RuleTerms(deny_users=frozenset({"printer"}))), max_grants=0)
    assert said(desk.stand((LAN, "printer", ""))) == ["opened printer"]


def test_standing_grants_are_opened_and_closed_as_the_config_says() -> None:
    desk = Desk()
    desk.stand((HOME, "printer", ""), (OFFICE, "scanner", ""))
    assert said(desk.stand((HOME, "printer", ""), (OFFICE, "alarm", ""))) == ["closed scanner config", "opened alarm"]
    assert desk.stand((HOME, "printer", ""), (OFFICE, "alarm", "")) == []
    assert said(desk.stand((HOME, "printer", "in the hall"), (OFFICE, "alarm", ""))) == ["renewed printer"]
    assert desk.grant("printer").reason == "in the hall"


def test_standing_grants_survive_a_restart_once() -> None:
    desk = Desk()
    desk.stand((HOME, "printer", ""))
    assert desk.restart() == []
    assert desk.stand((HOME, "printer", "")) == []
    assert said(desk.stand()) == ["closed printer config"]
    assert desk.rows.grants == {}


def test_a_standing_grant_is_of_the_whole_network_where_grants_are_wider() -> None:
    desk = Desk(ipv6_prefix=64)
    desk.stand((Address("2a00::7"), "printer", ""))
    assert desk.users(Address("2a00::8")) == {"printer"}


def test_what_a_map_may_say_of_an_address() -> None:
    desk = Desk()
    desk.take(login("bob", at=START), login("ann", at=START - MINUTE))
    desk.allow(HOME, "ann", span=HOUR)
    assert desk.ledger.entry(HOME, desk.now) == (("ann", "bob"), START, START + HOUR)
    assert desk.ledger.entry(OFFICE, desk.now) is None
