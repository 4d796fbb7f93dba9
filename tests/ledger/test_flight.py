"""What happens while a commit is awaited: 'Opening: commit, then publish. Closing: take away, then commit.'"""

from __future__ import annotations

import pytest

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, Flight, in_step, login, logout, said
from poprelay.ledger.ledger import Terms
from poprelay.ledger.record import Record
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import Address, Closed, Event, Opened


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_opening_is_committed_first_and_published_after(desk: Desk) -> None:
    flight = Flight(desk).fill(login(at=START)).commit()
    assert not desk.allowed()
    assert flight.record.grants
    assert flight.land() == ["opened ann"]
    assert desk.touched == {HOME}
    assert desk.allowed()


def test_a_record_carries_the_position_that_its_events_were_read_up_to(desk: Desk) -> None:
    Flight(desk).fill(login(at=START)).commit()
    assert desk.rows.positions == {"mail.log": b"1"}


def test_closing_is_taken_away_first_and_committed_after(desk: Desk) -> None:
    desk.login()
    draft = desk.ledger.draft(desk.now)
    draft.revoke(desk.revocation(HOME))
    assert desk.allowed()
    assert desk.ledger.close(draft) == {HOME}
    assert not desk.allowed()
    record = draft.record({})
    assert [grant.user for grant in record.gone] == ["ann"]


def test_a_batch_that_crosses_a_cap_takes_away_before_its_commit() -> None:
    desk = Desk(max_users_per_address=1)
    desk.login("ann")
    flight = Flight(desk).fill(login("bob", at=START), login("carl", OFFICE, at=START))
    assert desk.allowed()
    assert flight.submit() == {HOME}
    assert not desk.allowed()
    assert not desk.allowed(OFFICE)


def test_what_is_revoked_while_its_opening_is_committed_never_becomes_visible(desk: Desk) -> None:
    flight = Flight(desk).fill(login("ann", at=START), login("bob", at=START)).commit()
    assert said(desk.revoke(user="ann")) == ["closed ann revoked"]
    assert flight.land() == ["opened bob"]
    assert desk.users() == {"bob"}
    assert in_step(desk)
    assert sorted(said(desk.rows.history)) == ["closed ann revoked", "opened ann", "opened bob"]


def test_what_is_revoked_while_its_batch_is_being_filled_never_becomes_visible_either(desk: Desk) -> None:
    flight = Flight(desk).fill(login("ann", at=START))
    desk.revoke(user="ann")
    flight.fill(login("bob", at=START)).commit()
    assert flight.land() == ["opened bob"]
    assert desk.users() == {"bob"}
    assert in_step(desk)


def test_a_later_login_of_the_same_batch_may_open_it_again(desk: Desk) -> None:
    flight = Flight(desk).fill(login(at=START, session="s"))
    desk.revoke(HOME, at=START - 1)
    assert flight.fill(login(at=START)).commit().land() == ["opened ann"]
    assert in_step(desk)
    assert desk.rows.sessions == {}


def test_what_is_revoked_while_its_renewal_is_committed_goes_at_once_and_for_good(desk: Desk) -> None:
    desk.login(session="a")
    desk.now += MINUTE
    flight = Flight(desk).fill(login(at=desk.now, session="b")).commit()
    desk.now += 1
    assert said(desk.revoke(HOME)) == ["closed ann revoked"]
    assert not desk.allowed()
    assert flight.land() == []
    assert not desk.allowed()
    assert in_step(desk)
    assert desk.rows.sessions == {}


def test_a_wipe_reaches_what_is_being_committed(desk: Desk) -> None:
    flight = Flight(desk).fill(login(at=START)).commit()
    desk.revoke()
    assert flight.land() == []
    assert desk.rows.grants == {}


def test_what_expires_while_its_renewal_is_committed_goes_and_comes_back(desk: Desk) -> None:
    desk.login(session="s")
    desk.now += 20 * MINUTE
    flight = Flight(desk).fill(login(at=desk.now)).commit()
    desk.now += 10 * MINUTE
    assert desk.expire() == []
    assert desk.touched == {HOME}
    assert not desk.allowed()
    assert flight.land() == ["renewed ann"]
    assert desk.allowed()
    assert in_step(desk)
    assert said(desk.rows.history) == ["opened ann"]
    assert desk.ledger.outlook(desk.grant())[1] == 1


def test_the_row_of_a_renewal_outlives_an_expiry_that_is_committed_after_it(desk: Desk) -> None:
    desk.login()
    old = desk.grant()
    desk.now += 20 * MINUTE
    desk.login()
    desk.rows.write(Record(gone=[old]))
    assert in_step(desk)


def test_what_expires_while_a_logout_is_committed_comes_back_with_the_logouts_period(desk: Desk) -> None:
    desk.login(session="s")
    desk.now += 20 * MINUTE
    flight = Flight(desk).fill(logout("s", at=desk.now)).commit()
    desk.now += 10 * MINUTE
    desk.expire()
    flight.land()
    assert desk.ends() == 20 * MINUTE
    assert desk.rows.sessions == {}
    assert in_step(desk)


def test_a_session_of_a_grant_that_expired_meanwhile_can_still_be_ended_in_the_batch(desk: Desk) -> None:
    desk.login(session="s")
    desk.now += PERIOD - 1
    flight = Flight(desk).fill(login(at=desk.now))
    desk.now += 1
    desk.expire()
    assert flight.fill(logout("s", at=desk.now)).commit().land() == ["renewed ann", "renewed ann"]
    assert in_step(desk)
    assert desk.rows.sessions == {}


def test_a_reload_reaches_what_is_being_committed(desk: Desk) -> None:
    desk.login("bob")
    flight = Flight(desk).fill(login("ann", at=START), login("bob", at=START)).commit()
    desk.reload(Rules(RuleTerms(deny_users=frozenset({"ann"}))), Terms(period=10 * MINUTE))
    assert desk.ends("bob") == 10 * MINUTE
    assert flight.land() == ["renewed bob"]
    assert (desk.users(), desk.ends("bob")) == ({"bob"}, 10 * MINUTE)
    desk.expire()
    assert in_step(desk)


def test_what_a_reload_ends_while_its_renewal_is_committed_goes_and_comes_back(desk: Desk) -> None:
    desk.login(at=START - 10 * MINUTE)
    flight = Flight(desk).fill(login(at=START)).commit()
    assert desk.reload(terms=Terms(period=10 * MINUTE)) == []
    desk.now -= 1
    assert not desk.allowed()
    assert flight.land() == ["renewed ann"]
    assert desk.ends() == 10 * MINUTE + 1


def test_a_reload_knows_what_will_be_held_when_a_proof_is_committed(desk: Desk) -> None:
    desk.take(login(at=START, session="a"), login(at=START, session="b"))
    flight = Flight(desk).fill(login(at=START), logout("a", at=START)).commit()
    desk.now += PERIOD
    desk.reload(terms=Terms(period=PERIOD, max_session=2 * HOUR))
    assert not desk.allowed()
    flight.land()
    assert desk.ends() == 2 * HOUR - PERIOD


def test_what_a_reload_shortened_and_an_order_closed_leaves_no_longer_row_behind(desk: Desk) -> None:
    flight = Flight(desk).fill(login(at=START)).commit()
    desk.reload(terms=Terms(period=10 * MINUTE))
    desk.revoke(HOME)
    assert flight.land() == []
    assert desk.rows.grants == {}


def test_what_was_revoked_while_its_batch_was_filled_leaves_room_under_max_grants() -> None:
    desk = Desk(max_grants=1)
    flight = Flight(desk).fill(login("ann", at=START))
    desk.revoke(user="ann")
    assert flight.fill(login("bob", at=START)).commit().land() == ["opened bob"]


def test_a_step_back_reaches_a_crowd_that_is_being_committed() -> None:
    desk = Desk(max_users_per_address=1)
    flight = Flight(desk).fill(login("ann", at=START), login("bob", at=START)).commit()
    desk.now -= HOUR
    desk.clamp()
    flight.land()
    assert desk.ledger.crowded(desk.now) == [HOME]
    desk.now += PERIOD
    assert desk.ledger.crowded(desk.now) == []


def test_a_step_back_reaches_what_is_being_committed(desk: Desk) -> None:
    desk.login("bob")
    flight = Flight(desk).fill(login("ann", at=START), login("bob", at=START)).commit()
    desk.now -= HOUR
    desk.clamp()
    flight.land()
    assert desk.ends("ann") == desk.ends("bob") == PERIOD
    desk.expire()
    assert in_step(desk)


def test_a_step_back_reaches_a_batch_that_is_being_filled(desk: Desk) -> None:
    flight = Flight(desk).fill(login("ann", at=START))
    desk.now -= HOUR
    desk.clamp()
    flight.fill(login("bob", at=START)).commit().land()
    assert desk.ends("ann") == desk.ends("bob") == PERIOD
    assert in_step(desk)


def test_what_somebody_else_closed_while_a_batch_was_filled_is_closed_once() -> None:
    desk = Desk(max_users_per_address=1)
    desk.login("ann")
    flight = Flight(desk).fill(login("bob", at=START))
    desk.revoke(user="ann")
    assert flight.commit().land() == ["refused bob too-many-users"]
    assert said(desk.rows.history) == ["opened ann", "closed ann revoked"]


def test_what_is_renewed_and_then_closed_in_one_batch_is_gone_even_if_it_expired_meanwhile() -> None:
    desk = Desk(max_users_per_address=1)
    desk.login("ann")
    desk.now += PERIOD - 1
    flight = Flight(desk).fill(login("ann", at=desk.now))
    desk.now += 1
    desk.expire()
    assert flight.fill(login("bob", at=desk.now)).commit().land() == [
        "renewed ann",
        "closed ann gateway",
        "refused bob too-many-users",
    ]
    assert desk.rows.grants == {}
    assert in_step(desk)


def test_positions_alone_can_be_committed_beside_anything(desk: Desk) -> None:
    flight = Flight(desk).fill(login(at=START)).commit()
    record = desk.ledger.draft(desk.now).record({"other.log": b"7"})
    assert record == Record(positions={"other.log": b"7"})
    assert not record.is_empty()
    assert flight.land() == ["opened ann"]


def test_expiry_can_be_taken_in_portions(desk: Desk) -> None:
    desk.take(*(login(f"u{number}", at=START) for number in range(10)))
    desk.now += PERIOD
    assert len(desk.do(lambda draft: draft.expire(limit=4))) == 4
    assert desk.ledger.next_end() == START + PERIOD
    assert len(desk.expire()) == 6


def test_history_is_opened_and_closed_and_changes_say_all(desk: Desk) -> None:
    changes = desk.take(login(at=START), login(at=START), login("eve", Address("10.0.0.1"), at=START))
    assert said(changes) == ["opened ann", "renewed ann", "refused eve special:private"]
    assert [type(change) for change in desk.rows.history] == [Opened]
    desk.revoke(HOME)
    assert [type(change) for change in desk.rows.history] == [Opened, Closed]


@pytest.mark.parametrize("event", [login(session="s", at=START - HOUR), logout("s", at=START - HOUR)])
def test_what_is_committed_while_the_piece_of_a_clock_set_back_comes_is_what_stays(desk: Desk, event: Event) -> None:
    desk.prove()
    desk.login(session="s")
    desk.now -= HOUR
    flight = Flight(desk).fill(event).commit()
    desk.clamp()
    flight.land()
    desk.do(lambda draft: None)
    assert in_step(desk)
