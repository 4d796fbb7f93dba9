"""'At start and reload' and 'Keys' in the ledger's section of the design."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from ledger.desk import (
    EVERYTHING_GLOBAL,
    HOME,
    HOUR,
    MINUTE,
    OFFICE,
    PERIOD,
    START,
    Desk,
    Flight,
    login,
    logout,
    said,
)
from poprelay.address import canonical, parse_network
from poprelay.ledger.ledger import Ledger, Terms
from poprelay.ledger.rules import Rules, RuleTerms, Surroundings
from poprelay.model import Address, Allowed, Change

NO_ANN = Rules(RuleTerms(deny_users=frozenset({"ann"})))
MEMBER = Address("2a00:1450:4001:80b::7")
OTHER = Address("2a00:1450:4001:80b::9")
WIDE = Address("2a00:1450:4001:80b::/64")


@pytest.mark.parametrize("again", [Desk.restart, Desk.reload])
def test_every_login_grant_is_judged_again_and_those_that_fail_close(
    again: Callable[[Desk, Rules], list[Change]],
) -> None:
    desk = Desk()
    desk.login("ann")
    desk.login("bob")
    assert said(again(desk, NO_ANN)) == ["closed ann config"]
    assert desk.users() == {"bob"}
    assert {key.user for key in desk.rows.grants} == {"bob"}


def test_it_is_the_rules_that_need_only_address_and_user() -> None:
    desk = Desk()
    desk.login(tls=None)
    desk.login("bob", OFFICE)
    assert desk.reload(Rules(RuleTerms(require_tls=True)), Terms(period=PERIOD, max_grants=1)) == []
    seen = Surroundings(own=frozenset({OFFICE}))
    assert said(desk.reload(Rules(RuleTerms(), seen))) == ["closed bob config"]


def test_grants_on_other_bases_are_not_judged() -> None:
    desk = Desk()
    desk.allow(HOME, "ann")
    desk.stand((OFFICE, "ann", ""))
    assert desk.reload(NO_ANN) == []


def test_until_is_cut_to_the_last_login_plus_the_new_period() -> None:
    desk = Desk()
    desk.login()
    desk.now += 5 * MINUTE
    assert desk.reload(terms=Terms(period=10 * MINUTE)) == []
    assert desk.touched == {HOME}
    assert desk.ends() == 5 * MINUTE
    assert desk.ledger.next_end() == START + 10 * MINUTE
    assert list(desk.rows.grants.values()) == [desk.grant()]


def test_until_is_cut_to_the_last_logout_plus_the_new_period_where_that_came_later() -> None:
    desk = Desk()
    desk.login(session="s")
    desk.now += 20 * MINUTE
    desk.logout("s")
    desk.restart()
    assert desk.ends() == PERIOD
    desk.restart(terms=Terms(period=10 * MINUTE))
    assert desk.ends() == 10 * MINUTE


def test_what_is_over_by_the_new_period_closes() -> None:
    desk = Desk()
    desk.login()
    desk.now += 15 * MINUTE
    assert said(desk.reload(terms=Terms(period=10 * MINUTE))) == ["closed ann config"]


def test_a_longer_period_lengthens_nothing() -> None:
    desk = Desk()
    desk.login()
    assert desk.reload(terms=Terms(period=2 * PERIOD)) == []
    assert desk.ends() == PERIOD
    desk.login()
    assert desk.ends() == 2 * PERIOD


def test_a_held_grant_goes_on_holding_when_the_period_gets_shorter() -> None:
    desk = Desk()
    desk.prove()
    desk.login(session="s")
    desk.now += HOUR
    assert desk.reload(terms=Terms(period=MINUTE, max_session=2 * HOUR)) == []
    assert desk.ends() == HOUR
    assert desk.ledger.next_end() == desk.now + HOUR


def test_what_ended_while_we_were_down_is_closed_at_start() -> None:
    desk = Desk()
    desk.login()
    desk.now += 10 * HOUR
    (change,) = desk.restart()
    assert said([change]) == ["closed ann expired"]
    assert change.at == START + PERIOD


def test_a_restart_with_the_same_config_changes_nothing() -> None:
    desk = Desk()
    desk.prove()
    desk.take(login(at=START, session="a"), login("bob", OFFICE, at=START, session="b"), logout("b", at=START))
    desk.allow(span=HOUR)
    desk.stand((OFFICE, "printer", ""))
    desk.revoke(user="eve", deny=HOUR)
    before = (sorted(map(repr, desk.ledger.grants(desk.now))), dict(desk.rows.grants), dict(desk.rows.sessions))
    assert desk.restart() == []
    assert desk.touched == set()
    after = (sorted(map(repr, desk.ledger.grants(desk.now))), desk.rows.grants, desk.rows.sessions)
    assert before == after
    assert len(desk.ledger.revocations()) == 2


def test_ipv4_mapped_ipv6_folds_to_ipv4_and_addresses_are_canonical() -> None:
    desk = Desk()
    desk.login(address=canonical("::FFFF:9.9.9.9") or HOME)
    assert desk.allowed(HOME)
    assert canonical("2A00:1450:0:0::0:7") == "2a00:1450::7"


def test_ipv6_prefix_64_grants_the_whole_64() -> None:
    desk = Desk(ipv6_prefix=64)
    desk.login(address=MEMBER)
    for address in (MEMBER, OTHER, WIDE):
        assert desk.users(address) == {"ann"}
    assert not desk.allowed(Address("2a00:1450:4001:80c::7"))
    assert [grant.address for grant in desk.ledger.grants(desk.now)] == [WIDE]
    assert desk.ledger.key(OTHER) == desk.ledger.key(WIDE) == WIDE


def test_ipv6_prefix_is_never_for_ipv4() -> None:
    desk = Desk(ipv6_prefix=64)
    desk.login()
    assert [grant.address for grant in desk.ledger.grants(desk.now)] == [HOME]
    assert not desk.allowed(Address("9.9.9.8"))


def test_without_a_prefix_only_the_address_itself_is_granted() -> None:
    desk = Desk()
    desk.login(address=MEMBER)
    assert desk.allowed(MEMBER)
    assert not desk.allowed(OTHER)


def test_many_addresses_do_not_fill_the_memory_of_keys() -> None:
    ledger = Ledger(Terms(period=PERIOD, ipv6_prefix=64), EVERYTHING_GLOBAL)
    for number in range(20_000):
        assert ledger.key(Address(f"2a00::{number:x}")) == "2a00::/64"
    assert len(ledger._state._keys) <= 16_384


@pytest.mark.parametrize(("before", "after"), [(128, 64), (64, 128)])
def test_grants_whose_key_has_no_longer_the_right_width_are_closed(before: int, after: int) -> None:
    desk = Desk(ipv6_prefix=before)
    desk.login(address=MEMBER)
    desk.login("bob", HOME)
    desk.allow(MEMBER, "carl")
    desk.stand((MEMBER, "printer", ""))
    changes = desk.reload(terms=Terms(period=PERIOD, ipv6_prefix=after))
    assert sorted(said(changes)) == ["closed ann config", "closed carl config", "closed printer config"]
    assert said(desk.stand((MEMBER, "printer", ""))) == ["opened printer"]


def test_find_returns_all_live_grants_of_the_address() -> None:
    desk = Desk()
    desk.take(login("ann", at=START), login("bob", at=START))
    desk.allow(HOME, "ann")
    assert desk.users() == {"ann", "bob"}
    assert len(list(desk.ledger.grants(desk.now))) == 3


def test_deny_networks_added_at_reload_close_what_is_in_them() -> None:
    desk = Desk()
    desk.login()
    desk.login("bob", OFFICE)
    assert said(desk.reload(Rules(RuleTerms(deny_networks=(parse_network("8.8.0.0/16"),))))) == ["closed bob config"]


def test_a_grant_takes_less_than_700_bytes_strings_and_all() -> None:
    desk = Desk()
    number = 20_000
    tracemalloc.start()
    try:
        for start in range(0, number, 1_000):
            draft = desk.ledger.draft(desk.now)
            for index in range(start, start + 1_000):
                address = Address(f"9.{index >> 16}.{index >> 8 & 255}.{index & 255}")
                draft.login(login(f"user{index}@example.com", address, at=desk.now - index / 1e6), desk.now)
            desk.ledger.close(draft)
            desk.ledger.accept(draft)
        assert len(desk.ledger) == number
        assert tracemalloc.get_traced_memory()[0] / number < 700
    finally:
        tracemalloc.stop()


def test_until_all_are_judged_each_is_shown_as_it_will_stand() -> None:
    desk = Desk()
    desk.login()
    desk.ledger.replace(Terms(period=10 * MINUTE), desk.ledger.rules)
    until = desk.now + 10 * MINUTE
    outcome = desk.ledger.find(HOME, desk.now)
    assert isinstance(outcome, Allowed)
    (grant,) = outcome.grants
    assert [grant] == desk.ledger.at(HOME, desk.now) == list(desk.ledger.grants(desk.now))
    assert grant.until == until
    assert desk.ledger.outlook(grant) == (until, 0)
    assert desk.ledger.entry(HOME, desk.now) == (("ann",), desk.now, until)


def test_until_all_are_judged_a_network_is_found_behind_an_address_that_stands_no_more() -> None:
    desk = Desk()
    address = Address("2606:4700::1")
    desk.login(address=address)
    desk.ledger.replace(Terms(period=PERIOD, ipv6_prefix=64), desk.ledger.rules)
    assert not desk.allowed(address)
    desk.stand((address, "printer", ""))
    assert desk.users(address) == {"printer"}


def test_an_address_is_named_once_while_its_renewal_is_on_its_way() -> None:
    desk = Desk()
    desk.login()
    Flight(desk).fill(login(at=desk.now), login("bob", at=desk.now), login(address=OFFICE, at=desk.now))
    assert sorted(desk.ledger.addresses()) == sorted([HOME, OFFICE])
