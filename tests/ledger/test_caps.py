"""'Caps' in the ledger's section of the design."""

from __future__ import annotations

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, login, said
from poprelay.ledger.crowds import Crowd
from poprelay.ledger.ledger import Terms
from poprelay.model import LONGEST_NAME, Address, Refused


def place(number: int) -> Address:
    return Address(f"9.9.{number >> 8}.{number & 255}")


def test_the_defaults_are_20_addresses_200_users_and_a_million_grants() -> None:
    terms = Terms(period=PERIOD)
    assert (terms.max_addresses_per_user, terms.max_users_per_address, terms.max_grants) == (20, 200, 1_000_000)


def test_beyond_max_addresses_per_user_a_login_is_refused_and_the_others_stay() -> None:
    desk = Desk()
    desk.take(*(login(address=place(number), at=START) for number in range(20)))
    assert said(desk.login(address=place(20))) == ["refused ann too-many-addresses"]
    assert len(desk.ledger) == 20


def test_the_same_holds_within_one_batch() -> None:
    desk = Desk(max_addresses_per_user=2)
    words = said(desk.take(*(login(address=place(number), at=START) for number in range(4))))
    assert words == ["opened ann"] * 2 + ["refused ann too-many-addresses"] * 2


def test_at_the_cap_the_addresses_that_a_user_has_can_be_renewed() -> None:
    desk = Desk(max_addresses_per_user=2)
    for number in (0, 1, 0, 1):
        desk.login(address=place(number))
    assert said(desk.login(address=place(1))) == ["renewed ann"]


def test_an_address_whose_grant_has_ended_counts_no_more_even_if_nobody_had_looked() -> None:
    desk = Desk(max_addresses_per_user=2)
    desk.login(address=place(0))
    desk.now += 20 * MINUTE
    desk.login(address=place(1))
    assert said(desk.login(address=place(2))) == ["refused ann too-many-addresses"]
    desk.now += 10 * MINUTE
    assert said(desk.login(address=place(2))) == ["opened ann"]


def test_grants_by_hand_do_not_count_as_addresses_of_a_user() -> None:
    desk = Desk(max_addresses_per_user=1)
    desk.allow(HOME, "ann")
    assert said(desk.login(address=OFFICE)) == ["opened ann"]


def test_crossing_max_users_per_address_closes_all_login_grants_there_and_refuses_it() -> None:
    desk = Desk()
    desk.take(*(login(f"u{number}", at=START) for number in range(200)))
    assert len(desk.users()) == 200
    words = said(desk.login("one more"))
    assert sorted(words) == sorted(
        [f"closed u{number} gateway" for number in range(200)] + ["refused one more too-many-users"]
    )
    assert not desk.allowed()
    assert desk.touched == {HOME}
    assert said(desk.login("u7")) == ["refused u7 too-many-users"]
    assert desk.rows.grants == {}


def test_the_same_happens_within_one_batch() -> None:
    desk = Desk(max_users_per_address=2)
    words = said(desk.take(*(login(name, at=START) for name in "abcd")))
    assert words == [
        "opened a",
        "opened b",
        "closed a gateway",
        "closed b gateway",
        "refused c too-many-users",
        "refused d too-many-users",
    ]
    assert len(desk.ledger) == 0


def test_a_gateway_is_refused_until_the_count_has_fallen() -> None:
    desk = Desk(max_users_per_address=2)
    for name in "abc":
        desk.login(name)
    desk.now += 20 * MINUTE
    assert said(desk.login("a")) == ["refused a too-many-users"]
    desk.now += 10 * MINUTE - 1
    assert said(desk.login("a")) == ["refused a too-many-users"]
    desk.now += 1
    assert said(desk.login("a")) == ["opened a"]


def test_users_who_go_on_trying_keep_the_count_up() -> None:
    desk = Desk(max_users_per_address=2)
    for _ in range(10):
        desk.take(*(login(name, at=desk.now) for name in "abc"))
        assert not desk.allowed()
        desk.now += 20 * MINUTE
    assert said(desk.login("a")) == ["refused a too-many-users"]


def test_after_the_count_has_fallen_it_may_be_crossed_again() -> None:
    desk = Desk(max_users_per_address=2)
    for name in "abc":
        desk.login(name)
    desk.now += PERIOD
    assert said(desk.take(*(login(name, at=desk.now) for name in "abc"))) == [
        "opened a",
        "opened b",
        "closed a gateway",
        "closed b gateway",
        "refused c too-many-users",
    ]


def test_a_gateways_other_grants_stay() -> None:
    desk = Desk(max_users_per_address=2)
    desk.allow(HOME, "carl")
    desk.stand((HOME, "printer", ""))
    for name in "abc":
        desk.login(name)
    assert desk.users() == {"carl", "printer"}


def test_the_same_user_many_times_is_no_crowd() -> None:
    desk = Desk(max_users_per_address=2)
    for _ in range(5):
        desk.login("a")
        desk.login("b")
    assert desk.users() == {"a", "b"}


def test_users_whose_grants_have_ended_are_no_crowd() -> None:
    desk = Desk(max_users_per_address=2)
    for name in "abcdef":
        desk.login(name)
        desk.now += 20 * MINUTE
    assert "f" in said(desk.login("f"))[0]
    assert desk.ledger.crowded(desk.now) == []


def test_users_held_by_sessions_count_too() -> None:
    desk = Desk(max_users_per_address=2)
    desk.prove()
    for name in "ab":
        desk.login(name, session=name)
    desk.now += 10 * HOUR
    assert said(desk.login("c")) == ["closed a gateway", "closed b gateway", "refused c too-many-users"]
    assert said(desk.login("a")) == ["refused a too-many-users"]


def test_status_can_say_which_addresses_are_crowded_and_explain_says_why() -> None:
    desk = Desk(max_users_per_address=2)
    for name in "abc":
        desk.login(name)
    assert desk.ledger.crowded(desk.now) == [HOME]
    assert desk.ledger.denials(HOME, desk.now) == [
        "more than 2 users (max_users_per_address) log in from there: it is no client"
    ]
    desk.now += PERIOD
    assert desk.ledger.crowded(desk.now) == []
    desk.expire()
    assert desk.rows.crowds == {}


def test_a_crowd_survives_a_restart() -> None:
    desk = Desk(max_users_per_address=2)
    for name in ("a", "b\udcff", "c"):
        desk.login(name)
    desk.now += MINUTE
    desk.restart()
    assert said(desk.login("d")) == ["refused d too-many-users"]


def test_a_crowd_is_clamped_after_a_step_back() -> None:
    desk = Desk(max_users_per_address=2)
    for name in "abc":
        desk.login(name)
    desk.now -= 10 * HOUR
    desk.clamp()
    desk.now += PERIOD
    assert said(desk.login("a")) == ["opened a"]


def test_the_memory_of_a_crowd_is_bounded_by_the_cap() -> None:
    crowd = Crowd()
    for number in range(1_000):
        crowd.note(f"u{number}", START + PERIOD + number, START, limit=10)
    assert len(list(crowd)) == crowd.count(START) == 11
    assert crowd.over(START + 2 * HOUR)


def test_beyond_max_grants_a_login_is_refused_and_nothing_is_evicted() -> None:
    desk = Desk(max_grants=2)
    desk.take(login("a", at=START), login("b", OFFICE, at=START))
    assert said(desk.login("c", place(1))) == ["refused c too-many-grants"]
    assert (desk.users(HOME), desk.users(OFFICE)) == ({"a"}, {"b"})
    assert said(desk.login("a")) == ["renewed a"]


def test_max_grants_holds_within_one_batch_and_counts_what_is_closed_there() -> None:
    desk = Desk(max_grants=2)
    assert said(desk.take(*(login(name, place(ord(name)), at=START) for name in "abc"))) == [
        "opened a",
        "opened b",
        "refused c too-many-grants",
    ]


def test_grants_that_ended_unseen_do_not_count_against_max_grants() -> None:
    desk = Desk(max_grants=2)
    desk.login("a")
    desk.login("b", OFFICE)
    desk.now += PERIOD
    assert said(desk.login("c", place(1))) == ["opened c"]
    assert said(desk.login("a")) == ["closed a expired", "opened a"]
    assert said(desk.login("d", place(2))) == ["refused d too-many-grants"]


def test_grants_that_were_wiped_and_not_yet_closed_do_not_count_against_max_grants() -> None:
    desk = Desk(max_grants=2)
    desk.login("a")
    desk.login("b", OFFICE)
    order = desk.revocation()
    desk.now += 1
    assert desk.do(lambda draft: draft.wipe(order)) == []
    assert said(desk.take(*(login(name, place(ord(name)), at=desk.now) for name in "cde"))) == [
        "opened c",
        "opened d",
        "refused e too-many-grants",
    ]
    assert sorted(said(desk.do(lambda draft: draft.rejudge({HOME, OFFICE})))) == ["closed a wiped", "closed b wiped"]
    assert said(desk.login("e")) == ["refused e too-many-grants"]


def test_a_refused_login_is_one_row_of_history_per_address_user_and_reason_and_period() -> None:
    desk = Desk(max_grants=0)
    for _ in range(3):
        desk.take(login(at=desk.now), login(at=desk.now))
        desk.now += 9 * MINUTE
    (row,) = desk.rows.refusals.values()
    assert (row.address, row.user, row.reason, row.agent) == (HOME, "ann", "too-many-grants", "dovecot")
    assert (row.first_at, row.last_at, row.count) == (START, START + 18 * MINUTE, 6)
    desk.now += 3 * MINUTE
    (change,) = desk.login()
    assert isinstance(change, Refused)
    assert sorted(row.count for row in desk.rows.refusals.values()) == [1, 6]
    assert desk.rows.history == []


def test_counting_refused_logins_goes_on_after_a_restart() -> None:
    desk = Desk(max_grants=0)
    desk.login()
    desk.restart()
    desk.login()
    assert [row.count for row in desk.rows.refusals.values()] == [2]


def test_the_memory_of_refused_logins_is_let_go_after_a_period() -> None:
    desk = Desk(max_grants=0)
    desk.take(*(login(f"u{number}", at=START) for number in range(100)))
    desk.now += PERIOD
    desk.login()
    assert len(desk.ledger._state.refusals) == 1


def test_a_name_longer_than_a_mailbox_is_refused_and_not_kept_whole() -> None:
    desk = Desk()
    longest = "n" * LONGEST_NAME
    assert said(desk.login(longest)) == [f"opened {longest}"]
    assert said(desk.login(longest + "n")) == [f"refused {'n' * 40}… name-too-long"]
    assert all(len(refusal.user) < 50 for refusal in desk.rows.refusals.values())


def test_a_session_with_an_endless_name_opens_and_is_not_kept() -> None:
    desk = Desk()
    assert said(desk.login("ann", session="s" * 1000)) == ["opened ann"]
    assert not desk.rows.sessions
