from __future__ import annotations

from poprelay.mta.postfix.restrictions import Restriction, parse, placed, written

OURS = Restriction("check_client_access", "lmdb:/x/relay")


def put(text: str, *, local: bool = True) -> str | None:
    new = placed(parse(text), OURS, local=local)
    return None if new is None else written(new)


def test_commas_and_blanks_separate_and_checks_take_one_argument() -> None:
    text = (
        "permit_mynetworks,permit_sasl_authenticated\n  check_sender_access hash:/x, reject_rbl_client b.example reject"
    )
    assert [tuple(one) for one in parse(text)] == [
        ("permit_mynetworks", ""),
        ("permit_sasl_authenticated", ""),
        ("check_sender_access", "hash:/x"),
        ("reject_rbl_client", "b.example"),
        ("reject", ""),
    ]


def test_an_argument_in_braces_is_one() -> None:
    assert parse("check_policy_service { unix:poprelay/policy, timeout=10s }, reject")[0] == (
        "check_policy_service",
        "{ unix:poprelay/policy, timeout=10s }",
    )


def test_a_check_without_its_argument_is_no_crash() -> None:
    assert parse("check_client_access") == [("check_client_access", "")]
    assert parse("") == []


def test_our_lookup_stands_behind_what_lets_local_mail_through_and_before_what_stops_strangers() -> None:
    wanted = "permit_mynetworks, permit_auth_destination, check_client_access lmdb:/x/relay, reject_unauth_destination"
    assert put("permit_mynetworks reject_unauth_destination") == wanted
    assert put("permit_mynetworks, permit_auth_destination, reject_unauth_destination") == wanted


def test_any_word_that_stops_strangers_will_do() -> None:
    for stop in ("defer_unauth_destination", "reject", "defer"):
        assert put(stop) == f"permit_auth_destination, check_client_access lmdb:/x/relay, {stop}"


def test_a_list_that_stops_nobody_is_not_touched() -> None:
    assert put("permit_mynetworks") is None
    assert put("") is None


def test_local_mail_is_not_permitted_where_other_checks_follow() -> None:
    text = "reject_unauth_destination, reject_rbl_client b.example"
    assert put(text, local=False) == f"check_client_access lmdb:/x/relay, {text}"
