from __future__ import annotations

import msgspec
import pytest

from poprelay import model
from poprelay.model import Address, Closed, Grant, GrantKey, Login, Logout, Opened, Origin, Refused, Renewed

GRANT = Grant(Address("9.9.9.9"), "ann", "login", 1.0, 61.0, 1.0, 1.0, 60.0, "dovecot")
ORIGIN = Origin("mail.log", "mx")
LOGIN = Login(1.0, "a\udcffn", Address("9.9.9.9"), "imap", True, None, "dovecot", ORIGIN)


def test_the_nouns_are_values() -> None:
    structs = [each for each in vars(model).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    assert len(structs) > 10
    for each in structs:
        assert each.__struct_config__.frozen, each
    with pytest.raises(AttributeError):
        GRANT.until = 99.0  # type: ignore[misc]


def test_a_grant_is_known_by_address_user_and_basis() -> None:
    assert GRANT.key == GrantKey(Address("9.9.9.9"), "ann", "login")
    assert msgspec.structs.replace(GRANT, until=99.0, renewals=3).key == GRANT.key
    assert len({GRANT.key, msgspec.structs.replace(GRANT, basis="allow").key}) == 2


def test_what_an_event_is_can_be_told_after_a_round_trip() -> None:
    logout = Logout(1.0, None, None, "imap", "s", "dovecot", ORIGIN)
    for event in (msgspec.structs.replace(LOGIN, user="ann"), logout):
        assert msgspec.json.decode(msgspec.json.encode(event), type=model.Event) == event


def test_what_a_change_is_can_be_told_after_a_round_trip() -> None:
    for change in (
        Opened(1.0, GRANT),
        Renewed(1.0, GRANT),
        Closed(1.0, GRANT, "expired"),
        Refused(1.0, Address("10.0.0.1"), "eve", "dovecot", "private"),
    ):
        assert msgspec.json.decode(msgspec.json.encode(change), type=model.Change) == change


def test_a_user_name_of_any_bytes_is_kept() -> None:
    assert LOGIN.user.encode("utf-8", "surrogateescape") == b"a\xffn"
