"""'Time' in the ledger's section of the design."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.desk import EVERYTHING_GLOBAL, HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, login, said
from poprelay.ledger import ahead
from poprelay.ledger.book import Book
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Ledger, Terms
from poprelay.ledger.record import Cell, Key, Snapshot
from poprelay.ledger.terms import SLACK
from poprelay.model import Absent, Address, Grant


def test_a_login_opens_its_address_for_one_period() -> None:
    desk = Desk()
    assert said(desk.login()) == ["opened ann"]
    assert desk.grant() == Grant(
        HOME, "ann", "login", START, START + PERIOD, START, START, PERIOD, "dovecot", reason="", renewals=0
    )
    desk.now += PERIOD - 0.001
    assert desk.allowed()
    desk.now += 0.001
    assert not desk.allowed()


def test_the_period_runs_from_the_login_where_its_line_is_read_later() -> None:
    desk = Desk()
    desk.login(at=START - 10 * MINUTE, read_at=START)
    assert desk.ends() == 20 * MINUTE


def test_the_period_runs_from_the_first_reading_where_the_stamp_lies_after_it() -> None:
    desk = Desk()
    desk.login(at=START + HOUR, read_at=START)
    assert desk.ends() == PERIOD


def test_reading_again_changes_nothing_because_the_first_reading_is_stored_with_the_event() -> None:
    desk = Desk()
    event = login(at=START + HOUR)
    desk.take(event, read_at=START)
    desk.now += 10 * MINUTE
    desk.take(event, read_at=START)
    assert desk.ends() == 20 * MINUTE


def test_the_first_reading_is_known_whenever_the_line_is_read_again_and_even_after_a_restart() -> None:
    desk = Desk()
    event = login(at=START + 20 * MINUTE)
    desk.take(event)
    for wait in (10 * MINUTE, 15 * MINUTE):
        desk.now += wait
        desk.restart()
        desk.take(event)
        assert desk.ends() == START + PERIOD - desk.now
    desk.now += 10 * MINUTE
    desk.take(event)
    assert not desk.allowed()


def test_another_login_is_not_taken_for_one_whose_stamp_was_ahead() -> None:
    desk = Desk()
    desk.take(login(at=START + 20 * MINUTE))
    desk.now += 20 * MINUTE
    desk.take(login(at=START + 20 * MINUTE, session="another"))
    assert desk.ends() == PERIOD


def test_first_readings_are_let_go_when_the_stamp_is_a_period_old_and_when_they_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ahead, "MOST", 3)
    desk = Desk()
    for number in range(5):
        desk.now += 1
        desk.take(login(f"user{number}", at=START + 20 * MINUTE))
    desk.do(Draft.expire)
    assert sorted(early.read for early in desk.rows.snapshot().ahead.values()) == [START + 3, START + 4, START + 5]
    desk.now = START + 20 * MINUTE + PERIOD
    desk.do(Draft.expire)
    assert desk.rows.snapshot().ahead == {}


def test_a_renewal_extends_the_grant_and_is_counted_on_it() -> None:
    desk = Desk()
    desk.login()
    desk.now += 10 * MINUTE
    assert said(desk.login()) == ["renewed ann"]
    assert desk.ends() == PERIOD
    assert (desk.grant().renewals, desk.grant().opened, desk.grant().last_login) == (1, START, desk.now)


def test_a_shorter_login_never_shortens_a_grant() -> None:
    desk = Desk()
    desk.login()
    desk.login(at=START - 20 * MINUTE)
    assert desk.ends() == PERIOD
    assert desk.grant().last_login == START


def test_a_login_older_than_its_period_opens_nothing_and_is_only_counted() -> None:
    desk = Desk()
    assert desk.login(at=START - PERIOD) == []
    assert not desk.allowed()
    assert desk.stale == 1
    assert desk.rows.refusals == {}


def test_a_login_older_than_its_period_renews_nothing_either() -> None:
    desk = Desk()
    desk.login()
    desk.now += 10 * MINUTE
    assert desk.login(at=desk.now - PERIOD, session="old") == []
    assert desk.ledger.outlook(desk.grant())[1] == 0


def test_a_stamp_in_the_future_counts_as_skew() -> None:
    draft = Desk().ledger.draft(START)
    draft.login(login(at=START + 1), START)
    draft.login(login(at=START), START)
    assert draft.skewed == 1


def test_whether_a_grant_is_live_is_decided_at_the_moment_of_asking_without_any_timer() -> None:
    desk = Desk()
    desk.login()
    desk.now += PERIOD
    assert not desk.allowed()
    assert list(desk.ledger.grants(desk.now)) == []
    assert desk.ledger.entry(HOME, desk.now) is None
    assert len(desk.ledger) == 1


def test_the_timer_wakes_at_the_very_instant_of_expiry() -> None:
    desk = Desk()
    desk.login()
    desk.now += MINUTE
    desk.login("bob", OFFICE)
    assert desk.ledger.next_end() == START + PERIOD
    desk.now = START + PERIOD
    assert said(desk.expire()) == ["closed ann expired"]
    assert desk.touched == {HOME}
    assert desk.ledger.next_end() == START + PERIOD + MINUTE


def test_expiry_is_dated_when_the_grant_ended_not_when_somebody_looked() -> None:
    desk = Desk()
    desk.login()
    desk.now += 5 * HOUR
    (change,) = desk.expire()
    assert change.at == START + PERIOD


def test_renewing_moves_the_next_end_and_many_renewals_do_not_fill_the_schedule() -> None:
    desk = Desk()
    for _ in range(500):
        desk.now += 1
        desk.login()
    assert desk.ledger.next_end() == START + 500 + PERIOD
    desk.now += 1
    assert desk.expire() == []


def test_closing_and_opening_many_times_does_not_fill_the_schedule() -> None:
    desk = Desk()
    for _ in range(300):
        desk.now += 1
        desk.login()
        desk.revoke(HOME, at=START)
    assert len(desk.ledger._book.schedule) < 100
    assert desk.ledger.next_end() is None


def test_the_next_end_costs_little_at_once_even_after_very_many_renewals() -> None:
    desk = Desk(max_users_per_address=2_000)
    for _ in range(2):
        desk.now += MINUTE
        desk.take(*(login(f"u{number}", at=desk.now) for number in range(1_200)))
    early = desk.ledger.next_end()
    assert early == START + MINUTE + PERIOD
    assert [desk.ledger.next_end() for _ in range(3)][-1] == desk.now + PERIOD


def test_find_never_returns_a_dead_grant_beside_a_live_one() -> None:
    desk = Desk()
    desk.login("ann")
    desk.now += 20 * MINUTE
    desk.login("bob")
    assert desk.users() == {"ann", "bob"}
    desk.now += 10 * MINUTE
    assert desk.users() == {"bob"}


def test_a_login_after_the_end_opens_anew_even_if_nobody_had_looked() -> None:
    desk = Desk()
    desk.login()
    desk.now += PERIOD
    assert said(desk.login()) == ["closed ann expired", "opened ann"]
    assert desk.grant().opened == desk.now
    assert said(desk.rows.history) == ["opened ann", "closed ann expired", "opened ann"]


def test_a_grant_with_more_time_left_than_its_longest_allowed_span_is_not_live() -> None:
    desk = Desk()
    desk.login()
    desk.now = START - SLACK
    assert desk.allowed()
    desk.now = START - SLACK - 1
    assert not desk.allowed()
    assert desk.expire() == []


def test_a_grant_by_hand_has_its_own_longest_span() -> None:
    desk = Desk()
    desk.allow(span=5 * HOUR)
    assert desk.allowed()
    desk.now -= HOUR
    assert not desk.allowed()


def test_the_longest_span_of_a_held_grant_is_max_session() -> None:
    desk = Desk()
    desk.prove()
    desk.login(session="s")
    desk.now -= MINUTE
    assert not desk.allowed()


def test_after_a_step_back_until_is_clamped_to_now_plus_period() -> None:
    desk = Desk()
    desk.login()
    desk.now -= HOUR
    assert not desk.allowed()
    assert desk.clamp() == []
    assert desk.touched == {HOME}
    assert desk.ends() == PERIOD
    assert desk.grant().opened == desk.grant().seen == desk.grant().last_login == desk.now
    assert desk.rows.grants == {desk.grant().key: desk.grant()}
    assert desk.ledger.next_end() == desk.now + PERIOD


def test_after_a_step_back_a_held_grant_is_clamped_too() -> None:
    desk = Desk()
    desk.prove()
    desk.login(session="s")
    desk.now -= HOUR
    desk.clamp()
    assert desk.ends() == 24 * HOUR


def test_after_a_step_back_revocation_times_are_clamped_to_now() -> None:
    desk = Desk()
    desk.revoke(HOME, deny=HOUR)
    desk.now -= 2 * HOUR
    desk.clamp()
    (revocation,) = desk.ledger.revocations()
    assert (revocation.at, revocation.deny_until) == (desk.now, desk.now + HOUR)
    assert list(desk.rows.revocations.values()) == [revocation]


def test_after_a_step_back_standing_grants_stand() -> None:
    desk = Desk()
    desk.stand((HOME, "printer", ""))
    desk.now -= HOUR
    desk.clamp()
    assert desk.allowed()


def test_a_clock_that_was_set_back_while_we_were_down_is_noticed_at_start() -> None:
    desk = Desk()
    desk.login()
    desk.now -= HOUR
    desk.restart()
    assert desk.ends() == PERIOD


def test_a_login_that_meets_a_grant_from_the_future_renews_it_for_one_period() -> None:
    desk = Desk()
    desk.login()
    desk.now -= HOUR
    assert said(desk.login()) == ["renewed ann"]
    assert (desk.ends(), desk.grant().opened) == (PERIOD, desk.now)


def before_its_piece(then: Callable[[Desk], object], *, desk: Desk | None = None) -> Desk:
    """What happens after the clock was set back by an hour, and before the grants are shortened."""
    desk = desk or Desk()
    desk.now -= HOUR
    desk.do(lambda draft: draft.clamp_rest())
    then(desk)
    desk.clamp()
    return desk


def test_after_a_step_back_a_logout_ends_its_session_also_before_the_grant_is_shortened() -> None:
    desk = Desk()
    desk.prove()
    desk.login(session="s")
    before_its_piece(lambda desk: desk.logout("s"), desk=desk)
    assert desk.ends() == PERIOD
    assert desk.rows.sessions == {}


def test_after_a_step_back_caps_count_what_is_not_yet_shortened() -> None:
    desk = Desk(max_users_per_address=2)
    desk.login("ann")
    desk.login("bob")
    before_its_piece(lambda desk: desk.login("eve"), desk=desk)
    assert desk.users() == set()
    desk = Desk(max_addresses_per_user=1)
    desk.login(address=OFFICE)
    before_its_piece(lambda desk: desk.login(), desk=desk)
    assert (desk.users(), desk.users(OFFICE)) == (set(), {"ann"})


def test_after_a_step_back_what_lasts_long_is_not_made_short_before_it_is_clamped() -> None:
    desk = Desk()
    desk.allow(span=24 * HOUR)
    before_its_piece(lambda desk: desk.allow(), desk=desk)
    assert desk.ends("") == 24 * HOUR


def test_a_login_read_before_a_step_back_cannot_reach_beyond_one_period() -> None:
    desk = Desk()
    desk.now -= HOUR
    desk.login(at=START, read_at=START)
    assert desk.ends() == PERIOD


@pytest.mark.parametrize("now", [START, START + 1e-3, START + 0.3, START + 1 / 3])
def test_a_grant_is_live_from_its_first_instant_whatever_rounding_does(now: float) -> None:
    for period in (1.1, 30.7, 1800.0, 604_800.0):
        desk = Desk(period=period)
        desk.now = now
        desk.login()
        assert desk.allowed()


def test_an_empty_ledger_has_nobody_and_no_next_end() -> None:
    ledger = Ledger(Terms(period=PERIOD), EVERYTHING_GLOBAL)
    ledger.load(Snapshot(), START)
    assert ledger.find(HOME, START) == Absent()
    assert ledger.next_end() is None


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """The keys that are looked up among the visible grants."""
    looked_up: list[Key] = []

    def get(book: Book, key: Key, get: Callable[[Book, Key], Cell | None] = Book.get) -> Cell | None:
        looked_up.append(key)
        return get(book, key)

    monkeypatch.setattr(Book, "get", get)
    return looked_up


def test_ends_that_come_together_are_closed_in_slices_none_of_which_looks_at_those_before(looks: list[Key]) -> None:
    desk, number, step = Desk(), 4000, 50
    desk.take(*(login(f"user{n}", Address(f"9.9.{n // 250}.{n % 250}"), at=desk.now) for n in range(number)))
    desk.now += PERIOD
    looks.clear()
    closed = 0
    while desk.ledger.next_end() is not None:
        closed += len(desk.do(lambda draft: draft.expire(step)))
    assert closed == number
    assert len(looks) < 12 * number


def test_one_slice_looks_only_at_a_slice_of_those_that_were_renewed(looks: list[Key]) -> None:
    desk = Desk(max_addresses_per_user=4_000)
    places = [Address(f"9.9.{n // 250}.{n % 250}") for n in range(2_000)]
    desk.take(*(login(address=place, at=desk.now) for place in places))
    desk.now += MINUTE
    desk.take(*(login(address=place, at=desk.now) for place in places[1:]))
    desk.now += PERIOD - MINUTE
    looks.clear()
    desk.do(lambda draft: draft.expire(10))
    assert len(looks) < 100
    for _ in range(10):
        desk.ledger.next_end()
        desk.do(lambda draft: draft.expire(10))
    assert len(desk.ledger) == 1_999
