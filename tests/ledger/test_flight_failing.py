"""What happens when the commit that was awaited fails: nothing opens, and what was taken away stays away."""

from __future__ import annotations

import pytest

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, Flight, in_step, login, logout, said
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Terms
from poprelay.ledger.rules import Rules, RuleTerms


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_if_the_commit_fails_nothing_opens(desk: Desk) -> None:
    flight = Flight(desk).fill(login(at=START))
    flight.submit()
    assert not desk.allowed()
    assert said(desk.login("bob")) == ["opened bob"]
    assert desk.users() == {"bob"}
    with pytest.raises(AssertionError):
        flight.land()


def test_if_the_commit_fails_what_was_taken_away_is_owed_by_the_next_one() -> None:
    desk = Desk(max_users_per_address=1)
    desk.login("ann", session="s")
    for _ in range(3):
        Flight(desk).fill(login("bob", at=START)).submit()
    assert len(desk.rows.grants) == 1
    words = Flight(desk).fill(login("bob", at=START)).commit().land()
    assert words == ["closed ann gateway", "refused bob too-many-users"]
    assert desk.rows.grants == {}
    assert desk.rows.sessions == {}
    assert said(desk.rows.history) == ["opened ann", "closed ann gateway"]


def test_if_the_commit_fails_what_expired_meanwhile_has_expired(desk: Desk) -> None:
    desk.login()
    desk.now += 20 * MINUTE
    Flight(desk).fill(login(at=desk.now)).submit()
    desk.now += 10 * MINUTE
    desk.expire()
    assert said(desk.login()) == ["closed ann expired", "opened ann"]
    assert said(desk.rows.history) == ["opened ann", "closed ann expired", "opened ann"]
    assert in_step(desk)


def test_if_the_commit_fails_what_expired_and_was_then_revoked_has_no_session_left(desk: Desk) -> None:
    desk.login(session="s")
    Flight(desk).fill(login(at=START), logout("s", at=START)).submit()
    desk.now += PERIOD
    desk.expire()
    desk.revoke()
    assert desk.rows.sessions == {}


def test_if_the_commit_fails_a_revocation_stands_when_its_batch_is_read_again(desk: Desk) -> None:
    event = login(at=START)
    Flight(desk).fill(event).submit()
    desk.now += MINUTE
    desk.revoke(HOME)
    assert said(desk.take(event, read_at=START)) == ["refused ann revoked"]
    assert in_step(desk)


def test_a_session_key_used_again_in_a_failed_commit_stays_with_its_first_login(desk: Desk) -> None:
    desk.login("ann", session="42")
    Flight(desk).fill(login("bob", OFFICE, at=START, session="42")).submit()
    desk.revoke(user="bob")
    desk.login("carl")
    assert [session.user for session in desk.rows.sessions.values()] == ["ann"]


def test_if_the_commit_fails_a_session_that_ended_before_its_grant_was_closed_is_forgotten_too() -> None:
    desk = Desk(max_users_per_address=1)
    desk.login("ann", session="s")
    Flight(desk).fill(logout("s", at=START), login("bob", at=START)).submit()
    desk.login("carl", OFFICE)
    assert desk.rows.sessions == {}


def test_what_was_shortened_for_a_failed_commit_is_shorter_for_the_next_one(desk: Desk) -> None:
    desk.login()
    Flight(desk).fill(login(at=START)).submit()
    desk.reload(terms=Terms(period=10 * MINUTE))
    desk.now += 5 * MINUTE
    desk.login("bob")
    assert desk.ends() == 5 * MINUTE
    assert in_step(desk)


@pytest.mark.parametrize("in_pieces", [True, False])
def test_what_a_failed_logout_had_let_end_is_judged_too(desk: Desk, in_pieces: bool) -> None:
    desk.prove()
    desk.login(session="s")
    desk.now += PERIOD + MINUTE
    Flight(desk).fill(logout("s", at=desk.now - MINUTE)).submit()
    desk.now += PERIOD
    assert desk.allowed(), "by its session, whose end is not durable"
    desk.reload(Rules(RuleTerms(deny_users=frozenset({"ann"}))), in_pieces=in_pieces)
    assert not desk.allowed()
    assert desk.ledger.entry(HOME, desk.now) is None


def test_a_reload_in_a_draft_that_opens_takes_away_at_once_and_is_owed_if_it_fails(desk: Desk) -> None:
    desk.login("ann")
    desk.login("bob", OFFICE)
    desk.ledger.replace(Terms(period=10 * MINUTE), Rules(RuleTerms(deny_users=frozenset({"bob"}))))

    def order(draft: Draft) -> None:
        draft.stand()
        draft.allow(OFFICE, "carl")
        draft.rejudge({HOME, OFFICE})
        draft.revoke(desk.revocation(user="eve", deny=HOUR))

    failing = desk.ledger.draft(desk.now)
    order(failing)
    assert desk.ledger.close(failing) == {HOME, OFFICE}
    assert (desk.ends("ann"), desk.users(OFFICE)) == (10 * MINUTE, set())
    assert said(desk.do(lambda draft: draft.allow(OFFICE, "carl"))) == ["closed bob config", "opened carl"]
    assert in_step(desk)
    assert list(desk.rows.revocations.values()) == desk.ledger.revocations()


def test_what_was_renewed_to_less_than_its_row_says_and_ended_leaves_no_row(desk: Desk) -> None:
    desk.login()
    desk.now -= 1.5
    Flight(desk).fill(login(at=desk.now)).submit()
    desk.now += PERIOD + 5
    assert said(desk.reload(in_pieces=True)) == ["closed ann expired"]
    assert desk.rows.grants == {}


def test_what_only_a_failed_draft_had_opened_is_not_said_to_be_closed(desk: Desk) -> None:
    Flight(desk).fill(login(at=START)).submit()
    desk.now += PERIOD + MINUTE
    assert desk.reload(in_pieces=True) == desk.reload() == []


def test_what_a_session_no_longer_holds_goes_at_once_though_a_renewal_of_it_was_given_up() -> None:
    desk = Desk()
    desk.prove()
    desk.login(session="s")
    desk.now += 3 * HOUR
    Flight(desk).fill(login(at=desk.now)).submit()
    desk.reload(terms=Terms(period=PERIOD, max_session=2 * HOUR))
    desk.expire()
    assert HOME in desk.touched
    assert (len(desk.ledger), desk.ledger.next_end()) == (0, None)


def test_what_a_failed_draft_had_renewed_expires_as_if_it_had_not(desk: Desk) -> None:
    desk.login()
    desk.now += 20 * MINUTE
    Flight(desk).fill(login(at=desk.now)).fail()
    desk.now += 10 * MINUTE
    assert said(desk.expire()) == ["closed ann expired"]
    assert in_step(desk)


def test_what_a_failed_draft_had_renewed_and_shortened_is_written_shorter(desk: Desk) -> None:
    desk.login()
    desk.now += MINUTE
    Flight(desk).fill(login(at=desk.now)).fail()
    desk.reload(terms=Terms(period=10 * MINUTE))
    assert desk.ends() == 9 * MINUTE
    assert in_step(desk)


def test_what_a_failed_draft_had_closed_is_owed_also_if_the_next_one_fails() -> None:
    desk = Desk(max_users_per_address=1)
    desk.login("ann", session="s")
    for _ in range(3):
        Flight(desk).fill(login("bob", at=START)).fail()
    assert desk.revoke(HOME) == []
    assert said(desk.login("carl", OFFICE)) == ["closed ann gateway", "opened carl"]
    assert (set(desk.users()), in_step(desk)) == (set(), True)


def test_what_expired_before_its_renewal_failed_is_closed_by_an_order_too(desk: Desk) -> None:
    desk.login(session="s")
    flight = Flight(desk).fill(login(at=START), login("bob", at=START))
    flight.submit()
    desk.now += PERIOD
    desk.expire()
    desk.ledger.give_up(flight.draft)
    assert said(desk.revoke(HOME)) == ["closed ann expired"]
    assert desk.rows.cells == {}
    assert said(desk.login("carl", OFFICE)) == ["opened carl"]
