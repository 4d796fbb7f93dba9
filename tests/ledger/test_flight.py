"""What happens while a commit is awaited: 'Opening: commit, then publish. Closing: take away, then commit.'"""

from __future__ import annotations

import pytest

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, fill, login, logout, said
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Terms
from poprelay.ledger.record import Record
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import Address, Closed, Event, Opened


class Flight:
    """One draft that opens: filled, handed to the store, and perhaps accepted."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.draft: Draft = desk.ledger.draft(desk.now)
        self.record = Record()

    def fill(self, *events: Event) -> Flight:
        fill(self.draft, events, self.desk.now)
        return self

    def submit(self) -> set[Address]:
        """Its record is on its way: all that is committed from here on comes after it."""
        touched = self.desk.ledger.close(self.draft)
        self.record = self.draft.record({"mail.log": b"1"})
        return touched

    def commit(self) -> Flight:
        self.submit()
        self.desk.rows.write(self.record)
        return self

    def land(self) -> list[str]:
        """The store has said yes."""
        self.desk.touched = self.desk.ledger.accept(self.draft)
        return said(self.draft.changes)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def in_step(desk: Desk) -> bool:
    """Whether the rows are what the ledger says, grant by grant."""
    return dict(desk.rows.grants) == {cell.grant.key: cell.grant for cell in desk.ledger._book}


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
    assert desk.ledger.open_sessions(desk.grant().key) == 1


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


def test_a_step_back_reaches_a_crowd_that_is_being_committed() -> None:
    desk = Desk(max_users_per_address=1)
    flight = Flight(desk).fill(login("ann", at=START), login("bob", at=START)).commit()
    desk.now -= HOUR
    desk.do(lambda draft: draft.clamp())
    flight.land()
    assert desk.ledger.crowded(desk.now) == [HOME]
    desk.now += PERIOD
    assert desk.ledger.crowded(desk.now) == []


def test_a_step_back_reaches_what_is_being_committed(desk: Desk) -> None:
    desk.login("bob")
    flight = Flight(desk).fill(login("ann", at=START), login("bob", at=START)).commit()
    desk.now -= HOUR
    desk.do(lambda draft: draft.clamp())
    flight.land()
    assert desk.ends("ann") == desk.ends("bob") == PERIOD
    desk.expire()
    assert in_step(desk)


def test_a_step_back_reaches_a_batch_that_is_being_filled(desk: Desk) -> None:
    flight = Flight(desk).fill(login("ann", at=START))
    desk.now -= HOUR
    desk.do(lambda draft: draft.clamp())
    flight.fill(login("bob", at=START)).commit().land()
    assert desk.ends("ann") == desk.ends("bob") == PERIOD
    assert in_step(desk)


def test_what_was_shortened_for_a_failed_commit_is_shorter_for_the_next_one(desk: Desk) -> None:
    desk.login()
    Flight(desk).fill(login(at=START)).submit()
    desk.reload(terms=Terms(period=10 * MINUTE))
    desk.now += 5 * MINUTE
    desk.login("bob")
    assert desk.ends() == 5 * MINUTE
    assert in_step(desk)


def test_a_reload_in_a_draft_that_opens_takes_away_at_once_and_is_owed_if_it_fails(desk: Desk) -> None:
    desk.login("ann")
    desk.login("bob", OFFICE)
    desk.ledger.replace(Terms(period=10 * MINUTE), Rules(RuleTerms(deny_users=frozenset({"bob"}))))

    def order(draft: Draft) -> None:
        draft.stand([])
        draft.allow(OFFICE, "carl")
        draft.rejudge()
        draft.revoke(desk.revocation(user="eve", deny=HOUR))

    failing = desk.ledger.draft(desk.now)
    order(failing)
    assert desk.ledger.close(failing) == {HOME, OFFICE}
    assert (desk.ends("ann"), desk.users(OFFICE)) == (10 * MINUTE, set())
    assert said(desk.do(lambda draft: draft.allow(OFFICE, "carl"))) == ["closed bob config", "opened carl"]
    assert in_step(desk)
    assert list(desk.rows.revocations.values()) == desk.ledger.revocations()


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
