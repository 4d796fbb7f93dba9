"""'Sessions' in the ledger's section of the design."""

from __future__ import annotations

from typing import TypedDict, cast

import pytest

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, fill, login, logout, said
from poprelay.ledger.terms import OPEN_SESSIONS, UNPROVEN_SESSIONS, Terms
from poprelay.model import Absent, Address, Allowed, Event, Opened, Unavailable


class Which(TypedDict, total=False):
    source: str
    agent: str
    host: str
    service: str


def only(different: str) -> Which:
    """Where an event was seen: as all others, but for one thing."""
    return cast("Which", {different: "other"})


@pytest.fixture
def proven() -> Desk:
    """A desk whose source has shown a logout joined to its login."""
    desk = Desk()
    desk.prove()
    return desk


def test_a_grant_holds_while_a_session_is_open(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += 10 * HOUR
    assert proven.expire() == []
    assert proven.allowed()


def test_a_grant_runs_one_period_past_its_last_logout(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += 10 * HOUR
    assert said(proven.logout("s")) == ["renewed ann"]
    assert proven.ends() == PERIOD
    assert proven.ledger.next_end() == proven.now + PERIOD


def test_holding_begins_only_once_the_source_has_shown_a_logout_joined_to_its_login() -> None:
    desk = Desk()
    desk.login(session="s")
    assert desk.ends() == PERIOD
    desk.now += PERIOD
    assert not desk.allowed()


def test_from_the_proof_on_all_sessions_that_are_open_hold() -> None:
    desk = Desk()
    desk.login("ann", session="s1")
    desk.login("bob", OFFICE, session="s2")
    desk.now += 20 * MINUTE
    assert desk.ends("ann") == 10 * MINUTE
    desk.logout("s2")
    assert desk.ends("ann") == 24 * HOUR - 20 * MINUTE


def test_a_proof_does_not_wake_what_has_ended_but_was_not_yet_looked_at() -> None:
    desk = Desk()
    desk.login("ann", session="s1")
    desk.now += 20 * MINUTE
    desk.login("bob", OFFICE, session="s2")
    desk.now += 10 * MINUTE
    assert said(desk.logout("s2")) == ["closed ann expired", "renewed bob"]
    assert not desk.allowed()


@pytest.mark.parametrize("other", ["source", "agent", "host", "service"])
def test_the_proof_is_for_one_source_agent_host_and_service(proven: Desk, other: str) -> None:
    proven.take(login(at=proven.now, session="s", **only(other)))
    assert proven.ends() == PERIOD


@pytest.mark.parametrize("other", ["source", "agent", "host", "service"])
def test_a_logout_joins_only_a_login_of_the_same_source_agent_host_and_service(proven: Desk, other: str) -> None:
    proven.login(session="s")
    assert proven.take(logout("s", at=proven.now, **only(other))) == []
    assert proven.ledger.outlook(proven.grant())[1] == 1


def test_a_logout_that_names_another_user_or_address_ends_nothing(proven: Desk) -> None:
    proven.login(session="s")
    assert proven.take(logout("s", at=proven.now, user="eve"), logout("s", at=proven.now, address=OFFICE)) == []
    assert said(proven.take(logout("s", at=proven.now, user="ann", address=HOME))) == ["renewed ann"]


def test_a_grant_is_held_at_most_max_session_past_the_last_sign_of_life(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += 20 * HOUR
    proven.login()
    assert proven.ends() == 24 * HOUR
    assert proven.ledger.next_end() is not None
    proven.now += 24 * HOUR
    assert not proven.allowed()
    assert said(proven.expire()) == ["closed ann expired"]


def test_a_grant_that_a_session_holds_for_less_time_after_a_reload_is_looked_at_in_time(proven: Desk) -> None:
    proven.login(session="s")
    assert proven.ledger.next_end() == proven.now + 24 * HOUR
    assert proven.reload(terms=Terms(period=PERIOD, max_session=2 * HOUR)) == []
    assert proven.ledger.next_end() == proven.now + 2 * HOUR
    proven.now += 2 * HOUR
    assert said(proven.expire()) == ["closed ann expired"]


def test_the_logout_of_another_session_is_a_sign_of_life(proven: Desk) -> None:
    proven.login(session="s1")
    proven.login(session="s2")
    proven.now += 20 * HOUR
    proven.logout("s2")
    assert proven.ends() == 24 * HOUR


def test_with_several_sessions_open_it_goes_on_holding_until_the_last_ends(proven: Desk) -> None:
    proven.take(*(login(at=proven.now, session=name) for name in "abc"))
    proven.now += HOUR
    for name in "ab":
        proven.logout(name)
        assert proven.ends() == 24 * HOUR
    proven.logout("c")
    assert proven.ends() == PERIOD


def test_a_logout_extends_only_a_live_grant(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += 24 * HOUR
    assert proven.logout("s") == []
    assert not proven.allowed()


def test_a_logout_extends_only_a_grant_with_that_session_open(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += MINUTE
    assert proven.logout("another") == []
    proven.logout("s")
    proven.now += MINUTE
    assert proven.logout("s") == []
    assert proven.ends() == PERIOD - MINUTE


def test_a_logout_never_shortens_a_grant(proven: Desk) -> None:
    proven.login(session="s")
    proven.logout("s", at=START - 20 * MINUTE)
    assert proven.ends() == PERIOD


def test_a_logout_counts_from_its_first_reading_where_the_stamp_lies_after_it(proven: Desk) -> None:
    proven.login(session="s")
    proven.logout("s", at=proven.now + HOUR)
    assert proven.ends() == PERIOD


def test_revoking_forgets_sessions(proven: Desk) -> None:
    proven.login(session="s")
    proven.revoke(HOME)
    proven.now += MINUTE
    proven.login()
    assert proven.ledger.outlook(proven.grant())[1] == 0
    assert proven.logout("s") == []
    assert proven.rows.sessions == {}


def test_expiry_forgets_sessions(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += 24 * HOUR
    proven.expire()
    assert proven.rows.sessions == {}
    proven.login()
    assert proven.ends() == PERIOD


def test_when_catching_up_age_wins_over_a_session_that_may_still_be_open(proven: Desk) -> None:
    proven.now += 10 * HOUR
    assert proven.login(at=proven.now - PERIOD, session="s") == []
    assert not proven.allowed()


def test_when_catching_up_a_logout_that_comes_too_late_wakes_nothing() -> None:
    desk = Desk()
    desk.login(session="s")
    desk.now += 35 * MINUTE
    assert said(desk.logout("s", at=START + 20 * MINUTE)) == ["closed ann expired"]
    assert not desk.allowed()


def test_when_catching_up_an_old_logout_ends_a_held_grant(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += 10 * HOUR
    proven.restart()
    assert proven.allowed()
    assert said(proven.logout("s", at=START + HOUR)) == ["renewed ann", "closed ann expired"]
    assert not proven.allowed()
    assert proven.rows.grants == {}


def test_while_we_cannot_tell_a_grant_that_only_a_session_holds_is_not_plainly_live(proven: Desk) -> None:
    proven.login(session="s")
    proven.ledger.unavailable = "starting up"
    assert isinstance(proven.ledger.find(HOME, proven.now), Allowed)
    proven.now += HOUR
    assert proven.ledger.find(HOME, proven.now) == Unavailable("starting up")
    proven.login("bob")
    assert proven.users() == {"bob"}
    proven.ledger.unavailable = None
    assert proven.users() == {"ann", "bob"}


def test_a_session_of_a_log_that_is_not_read_up_to_now_holds_nothing_and_is_not_said_to_be_over(proven: Desk) -> None:
    proven.login(session="s")
    proven.login("bob", OFFICE)
    proven.now += HOUR
    ledger = proven.ledger
    assert proven.users() == {"ann"}
    assert set(ledger.with_sessions({"mail.log"})) == {HOME}
    ledger.read_sources = frozenset({"another"})
    assert isinstance(ledger.find(HOME, proven.now), Unavailable)
    assert ledger.entry(HOME, proven.now) is None
    assert list(ledger.grants(proven.now)) == []
    proven.login("bob")
    assert proven.users() == {"bob"}
    entry = ledger.entry(HOME, proven.now)
    assert entry is not None
    assert entry[0] == ("bob",)
    ledger.read_sources = frozenset({"mail.log"})
    assert proven.users() == {"ann", "bob"}


def test_while_we_cannot_tell_no_address_is_said_to_be_absent() -> None:
    desk = Desk()
    assert desk.ledger.find(HOME, desk.now) == Absent()
    desk.ledger.unavailable = "the store is broken"
    assert desk.ledger.find(HOME, desk.now) == Unavailable("the store is broken")


def test_login_and_logout_in_one_batch_leave_no_session_but_prove_that_they_join() -> None:
    desk = Desk()
    assert said(desk.take(login(at=START, session="s"), logout("s", at=START))) == ["opened ann", "renewed ann"]
    assert desk.rows.sessions == {}
    assert len(desk.rows.joined) == 1
    desk.login(session="t")
    assert desk.ends() == 24 * HOUR


def test_a_key_that_the_server_uses_again_belongs_to_the_later_login(proven: Desk) -> None:
    proven.login("ann", session="42")
    proven.now += 20 * MINUTE
    proven.login("bob", OFFICE, session="42")
    assert proven.ends("ann") == 10 * MINUTE
    assert proven.ends("bob", OFFICE) == 24 * HOUR
    assert [session.user for session in proven.rows.sessions.values()] == ["bob"]
    assert said(proven.logout("42")) == ["renewed bob"]


def test_a_key_used_again_closes_a_grant_that_nothing_else_held(proven: Desk) -> None:
    proven.login("ann", session="42")
    proven.now += HOUR
    changes = proven.login("bob", OFFICE, session="42")
    assert said(changes) == ["opened bob", "closed ann expired"]
    assert changes[1].at == proven.now
    assert proven.ends("bob", OFFICE) == 24 * HOUR


def test_a_key_used_again_closes_the_grant_of_its_first_login_if_that_ended_unseen() -> None:
    desk = Desk(max_grants=1)
    desk.login("ann", session="42")
    desk.now += PERIOD
    words = said(desk.take(login("bob", OFFICE, at=desk.now, session="42"), login("carl", at=desk.now)))
    assert words == ["opened bob", "closed ann expired", "refused carl too-many-grants"]


def test_a_key_that_the_same_user_uses_again_is_one_session(proven: Desk) -> None:
    proven.login(session="42")
    proven.login(session="42")
    assert proven.ledger.outlook(proven.grant())[1] == 1


def test_a_grant_remembers_a_bounded_number_of_sessions_and_forgets_the_oldest(proven: Desk) -> None:
    proven.take(*(login(at=proven.now, session=str(number)) for number in range(OPEN_SESSIONS + 5)))
    names = [session.key.session for session in proven.ledger.sessions(proven.grant().key)]
    assert names == [str(number) for number in range(5, OPEN_SESSIONS + 5)]
    assert {key.session for key in proven.rows.sessions} == set(names)


def test_the_sessions_of_a_grant_keep_its_copies_of_user_and_address(proven: Desk) -> None:
    for number in range(3):
        proven.login("".join(["an", "n"]), Address("".join([*HOME])), session=str(number))
    grant = proven.grant()
    for session in proven.ledger.sessions(grant.key):
        assert session.user is grant.user
        assert session.address is grant.address


def test_where_no_logout_was_ever_joined_only_a_few_sessions_are_remembered() -> None:
    desk = Desk()
    for number in range(UNPROVEN_SESSIONS + 3):
        desk.login(session=str(number))
    names = [session.key.session for session in desk.ledger.sessions(desk.grant().key)]
    assert names == ["3", "4", "5", "6"]
    assert {key.session for key in desk.rows.sessions} == set(names)


def test_sessions_that_prove_nothing_do_not_push_out_those_that_hold(proven: Desk) -> None:
    proven.login(session="holds")
    unproven: list[Event] = [login(at=proven.now, session=str(number), source="other.log") for number in range(9)]
    proven.take(*unproven)
    assert proven.ends() == 24 * HOUR
    assert proven.ledger.outlook(proven.grant())[1] == 1 + UNPROVEN_SESSIONS


def test_a_key_that_is_used_again_and_forgotten_within_a_batch_is_not_the_former_ones_again(proven: Desk) -> None:
    proven.login("ann", session="42")
    again: list[Event] = [login("bob", OFFICE, at=proven.now, session="42")]
    again += [login("bob", OFFICE, at=proven.now, session=f"b{number}") for number in range(OPEN_SESSIONS)]
    assert said(proven.take(*again, logout("42", at=proven.now)))[-1] == "renewed bob"
    assert proven.ends("ann") == PERIOD
    assert proven.logout("42") == []


def test_a_draft_forgets_sessions_that_came_and_went_in_it() -> None:
    desk = Desk()
    draft = desk.ledger.draft(desk.now)
    fill(draft, [login(at=desk.now, session=str(number)) for number in range(9 * UNPROVEN_SESSIONS)], desk.now)
    assert len(draft.overlay.sessions) == UNPROVEN_SESSIONS


def test_how_long_a_grant_was_to_last_before_does_not_depend_on_what_was_proven_since() -> None:
    desk = Desk()
    (opened,) = desk.login()
    assert isinstance(opened, Opened)
    desk.now += 5 * MINUTE
    desk.login()
    assert desk.ledger.ends(opened.grant) == START + PERIOD
    desk.prove()
    assert desk.ledger.ends(opened.grant) == START + PERIOD
    desk.login(session="s")
    assert desk.ledger.ends(opened.grant) == START + 24 * HOUR


def test_a_login_without_a_session_holds_nothing(proven: Desk) -> None:
    proven.login()
    assert proven.ends() == PERIOD
    assert proven.take(logout(None, at=proven.now)) == []


def test_sessions_survive_a_restart(proven: Desk) -> None:
    proven.login(session="s")
    proven.now += HOUR
    proven.restart()
    assert proven.allowed()
    proven.logout("s")
    assert proven.ends() == PERIOD


def test_a_held_grant_of_a_network_is_found_by_the_logouts_own_address() -> None:
    desk = Desk(ipv6_prefix=64)
    member = Address("2a00:1450:4001:80b::7")
    desk.login(address=member, session="s")
    assert said(desk.take(logout("s", at=desk.now, address=member))) == ["renewed ann"]
