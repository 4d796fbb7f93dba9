"""What may be a key."""

from __future__ import annotations

import pytest

from poprelay.maps.keys import checked, foreign, foreign_record

NEVER = [
    "",
    " ",
    "10",
    "192.0.2",
    "192.0.2.",
    "192.0.2.07",
    "192.0.2.0/24",
    "192.0.2.7/32",
    "192.0.2.7 ",
    "192.0.2.7\n",
    "192.0.2.7\0",
    "unknown",
    "mx.example.org",
    ":",
    "2001:db8",
    "2001:DB8::7",
    "[2001:db8::7]",
    "IPv6:2001:db8::7",
    "2001:db8:0:0:0:0:0:7",
    "::ffff:192.0.2.7",
    "fe80::1%eth0",
    "../../etc/passwd",
]


@pytest.mark.parametrize("key", NEVER)
def test_what_is_not_a_full_canonical_address_is_never_a_key(key: str) -> None:
    with pytest.raises(ValueError, match="may not be a key"):
        checked(key)
    with pytest.raises(ValueError, match="may not be a key"):
        checked(key, networks=True)


@pytest.mark.parametrize("key", ["192.0.2.7", "2001:db8::7", "255.255.255.255"])
def test_a_full_canonical_address_is_a_key(key: str) -> None:
    assert checked(key) == checked(key, networks=True) == key


def test_a_network_is_a_key_only_where_the_kind_can_express_it() -> None:
    assert checked("2001:db8:0:1::/64", networks=True) == "2001:db8:0:1::/64"
    with pytest.raises(ValueError, match="may not be a key"):
        checked("2001:db8:0:1::/64")


@pytest.mark.parametrize("key", ["2001:db8::/32", "2001:db8::/63", "2001:db8::7/64", "2001:DB8::/64", "::/0"])
def test_a_network_shorter_than_64_or_not_canonical_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="may not be a key"):
        checked(key, networks=True)


@pytest.mark.parametrize("record", [b"", b"127", b"192.0.2.7", b"caf\xc3\xa9", b"\xff\xfe\0", b"\0\0"])
def test_a_foreign_record_survives_being_named(record: bytes) -> None:
    assert foreign_record(foreign(record)) == record


def test_the_name_of_a_foreign_record_equals_no_address() -> None:
    assert foreign(b"192.0.2.7") != "192.0.2.7"
    assert foreign_record("192.0.2.7") is None
