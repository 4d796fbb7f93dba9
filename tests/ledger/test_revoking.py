"""'Revoking' in the ledger's section of the design."""

from __future__ import annotations

import pytest

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk, login, said
from poprelay.ledger.ledger import Terms
from poprelay.ledger.revocations import Revocations
from poprelay.model import Address, Closed, Revocation

DAY = 24 * HOUR


def test_revoking_an_address_closes_the_grants_of_all_its_users() -> None:
    desk = Desk()
    desk.take(login("ann", at=START), login("bob", at=START), login("ann", OFFICE, at=START))
    assert sorted(said(desk.revoke(HOME))) == ["closed ann revoked", "closed bob revoked"]
    assert desk.touched == {HOME}
    assert desk.allowed(OFFICE)


def test_revoking_a_user_closes_that_users_grants_at_all_addresses() -> None:
    desk = Desk()
    desk.take(login("ann", at=START), login("bob", at=START), login("ann", OFFICE, at=START))
    desk.revoke(user="ann")
    assert (desk.users(HOME), desk.users(OFFICE)) == ({"bob"}, set())


def test_revoking_both_closes_only_their_common_grant() -> None:
    desk = Desk()
    desk.take(login("ann", at=START), login("bob", at=START), login("ann", OFFICE, at=START))
    desk.revoke(HOME, "ann")
    assert (desk.users(HOME), desk.users(OFFICE)) == ({"bob"}, {"ann"})


def test_revoking_neither_wipes_everything() -> None:
    desk = Desk()
    desk.take(login("ann", at=START), login("bob", OFFICE, at=START))
    desk.allow(OFFICE, "carl")
    desk.stand((HOME, "printer", ""))
    assert sorted(said(desk.revoke())) == [
        "closed ann wiped",
        "closed bob wiped",
        "closed carl wiped",
        "closed printer wiped",
    ]
    assert len(desk.ledger) == 0
    assert desk.rows.grants == {}


def test_a_revocation_is_a_stored_event_with_id_time_author_scope_and_reason() -> None:
    desk = Desk()
    order = Revocation(id="r1", at=START, by="root", address=HOME, user=None, reason="spam")
    desk.do(lambda draft: draft.revoke(order))
    assert desk.rows.revocations == {"r1": order}
    assert desk.ledger.revocations() == [order]


def test_why_it_was_made_is_kept_in_the_history() -> None:
    desk = Desk()
    desk.login()
    order = Revocation("1", desk.now, "root", HOME, None, "ticket 77", None)
    (change,) = desk.do(lambda draft: draft.revoke(order))
    assert isinstance(change, Closed)
    assert change.reason == "revoked: ticket 77"
    assert desk.rows.history[-1] == change


def test_a_revocation_is_dated_by_its_own_time() -> None:
    desk = Desk()
    desk.login()
    (change,) = desk.revoke(HOME, at=START)
    assert isinstance(change, Closed)
    assert change.at == START


@pytest.mark.parametrize("second", [0.0, 0.4, 0.999])
def test_it_beats_every_login_read_from_lines_up_to_that_second(second: float) -> None:
    desk = Desk()
    desk.now += 0.5
    desk.revoke(HOME)
    desk.now = START + 10
    assert said(desk.login(at=START + second)) == ["refused ann revoked"]
    assert not desk.allowed()


def test_a_login_of_the_next_second_opens_again() -> None:
    desk = Desk()
    desk.login()
    desk.now += 0.5
    desk.revoke(HOME)
    desk.now = START + 1
    assert said(desk.login()) == ["opened ann"]


def test_replaying_cannot_resurrect_what_was_revoked_even_after_a_restart() -> None:
    desk = Desk()
    events = [login(at=START), login("bob", OFFICE, at=START)]
    desk.take(*events)
    desk.now += MINUTE
    desk.revoke(user="ann")
    desk.restart()
    assert said(desk.take(*events, read_at=START)) == ["refused ann revoked", "renewed bob"]
    assert not desk.allowed()


def test_nor_can_replaying_resurrect_a_login_whose_stamp_was_ahead() -> None:
    desk = Desk()
    event = login(at=START + 20 * MINUTE)
    desk.take(event)
    desk.now += MINUTE
    desk.revoke(user="ann")
    desk.now += MINUTE
    desk.restart()
    assert said(desk.take(event)) == ["refused ann revoked"]
    desk.now += 19 * MINUTE
    assert said(desk.take(event)) == ["refused ann revoked"]


def test_a_login_with_a_stamp_in_the_future_is_beaten_by_when_it_was_read() -> None:
    desk = Desk()
    desk.revoke(HOME)
    assert said(desk.login(at=START + HOUR, read_at=START)) == ["refused ann revoked"]


@pytest.mark.parametrize(("period", "max_session"), [(PERIOD, DAY), (7 * DAY, DAY)])
def test_it_is_kept_for_the_longer_of_period_and_max_session(period: float, max_session: float) -> None:
    desk = Desk(period=period)
    desk.revoke(HOME)
    desk.now += max(period, max_session)
    desk.expire()
    assert len(desk.ledger.revocations()) == len(desk.rows.revocations) == 1
    desk.now += 1
    desk.expire()
    assert len(desk.ledger.revocations()) == len(desk.rows.revocations) == 0


def test_a_denial_is_kept_until_it_ends() -> None:
    desk = Desk()
    desk.revoke(HOME, deny=7 * DAY)
    desk.now += 7 * DAY - 1
    desk.expire()
    assert said(desk.login()) == ["refused ann denied"]
    desk.now += 1
    assert said(desk.login()) == ["opened ann"]
    desk.expire()
    assert desk.rows.revocations == {}


@pytest.mark.parametrize(
    ("address", "user", "refused"),
    [(HOME, None, {"ann", "bob"}), (None, "ann", {"ann"}), (HOME, "bob", {"bob"}), (None, None, {"ann", "bob"})],
)
def test_a_denial_refuses_new_logins_in_its_scope(address: Address | None, user: str | None, refused: set[str]) -> None:
    desk = Desk()
    desk.revoke(address, user, deny=HOUR)
    desk.now += MINUTE
    desk.login("ann")
    desk.login("bob")
    assert desk.users() == {"ann", "bob"} - refused


def test_denials_are_said_in_sentences() -> None:
    desk = Desk()
    desk.revoke(HOME, deny=HOUR)
    desk.revoke(HOME)
    desk.revoke(user="ann", deny=HOUR)
    assert desk.ledger.denials(HOME, desk.now) == [
        "it is denied until 2023-11-14T23:13:20.000Z, by root",
        "ann is denied until 2023-11-14T23:13:20.000Z, by root",
    ]
    assert desk.ledger.denials(OFFICE, desk.now) == ["ann is denied until 2023-11-14T23:13:20.000Z, by root"]
    desk.now += HOUR
    assert desk.ledger.denials(HOME, desk.now) == []


def test_revoking_one_address_of_a_granted_network_revokes_the_network() -> None:
    desk = Desk(ipv6_prefix=64)
    desk.login(address=Address("2a00:1450:4001:80b::7"))
    desk.revoke(Address("2a00:1450:4001:80b::9"), deny=HOUR)
    assert not desk.allowed(Address("2a00:1450:4001:80b::7"))
    desk.now += MINUTE
    assert said(desk.login(address=Address("2a00:1450:4001:80b::5"))) == ["refused ann denied"]


def test_an_operators_grant_is_closed_too() -> None:
    desk = Desk()
    desk.allow()
    assert said(desk.revoke(HOME)) == ["closed  revoked"]


def test_an_operators_grant_of_the_same_second_is_not_beaten() -> None:
    desk = Desk()
    desk.revoke(HOME)
    desk.allow()
    assert desk.allowed()


def test_a_standing_grant_stays_away_until_the_next_start_or_reload() -> None:
    desk = Desk()
    desk.stand((HOME, "printer", "in the hall"))
    desk.revoke(HOME)
    assert not desk.allowed()
    desk.stand((HOME, "printer", "in the hall"))
    assert desk.allowed()


def test_what_had_ended_unseen_is_closed_as_expired_not_as_revoked() -> None:
    desk = Desk()
    desk.login()
    desk.now += PERIOD
    assert said(desk.revoke(HOME)) == ["closed ann expired"]


def test_a_revocation_follows_when_the_width_of_grants_changes() -> None:
    desk = Desk()
    desk.revoke(Address("2a00:1450:4001:80b::9"), deny=HOUR)
    desk.reload(terms=Terms(period=PERIOD, ipv6_prefix=64))
    desk.now += MINUTE
    assert said(desk.login(address=Address("2a00:1450:4001:80b::5"))) == ["refused ann denied"]


def test_a_revocation_put_again_replaces_the_first() -> None:
    kept = Revocations(key=lambda address: address)
    order = Revocation(id="r", at=START, by="root", address=HOME, user=None, reason="")
    kept.add(order)
    kept.add(Revocation(id="r", at=START, by="root", address=OFFICE, user=None, reason=""))
    assert [list(kept.over(address, "ann")) == [] for address in (HOME, OFFICE)] == [True, False]
    kept.remove("r")
    kept.remove("r")
    assert not list(kept)


def test_a_denial_can_be_lifted_but_what_it_closed_stays_closed() -> None:
    desk = Desk()
    desk.login()
    desk.revoke(HOME, deny=HOUR)
    (order,) = desk.ledger.denied(desk.now)
    desk.do(lambda draft: draft.lift([order.id]))
    assert desk.ledger.denied(desk.now) == []
    assert said(desk.login()) == ["refused ann revoked"]  # a login of that second is still beaten
    desk.now += 1
    assert said(desk.login()) == ["opened ann"]


def test_only_the_denial_that_was_named_is_lifted_and_a_restart_keeps_that() -> None:
    desk = Desk()
    desk.revoke(HOME, deny=HOUR)
    desk.revoke(user="ann", deny=HOUR)
    first, second = desk.ledger.denied(desk.now)
    desk.do(lambda draft: draft.lift([first.id, "another"]))
    assert [order.id for order in desk.ledger.denied(desk.now)] == [second.id]
    desk.restart()
    assert [order.id for order in desk.ledger.denied(desk.now)] == [second.id]
