"""Positions: all reading state goes to bytes and comes back, and what is no position is said to be none."""

from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poprelay.sources.place import FINGERPRINT, VERSION, Fingerprint, Place, Position

PLACE = Place(
    path=os.fsencode("/var/log/m\udcffil.log"),
    device=2**63,
    inode=2**64 - 1,
    offset=2**40,
    head=Fingerprint.of(b"Jun 23"),
    tail=Fingerprint.of(b""),
    partial=b"half \0\xff",
    skipping=True,
    copy_of=(1, 2),
)
POSITION = Position(current=PLACE, lingering=(PLACE, PLACE), behind=PLACE, written=1.5, scanner=b"\0state")


def test_a_fingerprint_fits_its_own_bytes_and_no_others() -> None:
    content = os.urandom(FINGERPRINT)
    fingerprint = Fingerprint.of(content)
    assert fingerprint.length == FINGERPRINT
    assert fingerprint.fits(content)
    assert not fingerprint.fits(content[:-1])
    assert not fingerprint.fits(content + b"x")
    assert not fingerprint.fits(content[:-1] + bytes([content[-1] ^ 1]))


def test_a_fingerprint_does_not_hold_what_the_log_says() -> None:
    """Positions are kept in the ledger, and what they need not know is none of their business."""
    short, long = (msgspec.msgpack.encode(Fingerprint.of(b"user=<ann>" * count)) for count in (1, 100))
    assert b"ann" not in short
    assert len(long) < 32


def test_all_reading_state_comes_back() -> None:
    assert Position.decode(POSITION.encode()) == POSITION
    assert Position.decode(Position().encode()) == Position()
    assert Position.decode(POSITION.encode()).current == PLACE


def test_a_file_is_looked_for_first_by_device_and_inode() -> None:
    assert PLACE.identity == (2**63, 2**64 - 1)


def test_a_position_of_another_version_is_none() -> None:
    later = msgspec.structs.replace(POSITION, version=VERSION + 1)
    with pytest.raises(ValueError, match=f"a position of version {VERSION + 1}"):
        Position.decode(later.encode())


@pytest.mark.parametrize("data", [b"", b"c=7", b"{}", POSITION.encode()[:-1], POSITION.encode() + b"x", b"\x91\xa13"])
def test_what_is_no_position_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Position.decode(data)


@settings(max_examples=200)
@given(at=st.integers(0, len(POSITION.encode()) - 1), byte=st.integers(0, 255))
def test_damage_is_a_value_error_or_a_position_and_nothing_else(at: int, byte: int) -> None:
    data = bytearray(POSITION.encode())
    data[at] = byte
    try:
        decoded = Position.decode(bytes(data))
    except ValueError:
        return
    assert decoded.version == VERSION
