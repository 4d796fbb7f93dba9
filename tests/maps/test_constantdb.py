"""Reading a cdb file."""

from __future__ import annotations

from pathlib import Path

import pytest

from maps.programs import tcprules
from poprelay.errors import MapError
from poprelay.maps.command import run
from poprelay.maps.constantdb import check, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two records."""
    rules = tmp_path / "rules"
    rules.write_text("192.0.2.7:allow\n:allow\n")
    run((tcprules(tmp_path), str(tmp_path / "cdb")), timeout=10.0, stdin=rules)
    return tmp_path / "cdb"


def test_every_record_is_read_in_its_order(path: Path) -> None:
    check(path)
    assert list(records(path)) == [(b"192.0.2.7", b"+RELAYCLIENT=\0"), (b"", b"+RELAYCLIENT=\0")]


@pytest.mark.parametrize("length", [0, 1, 2047, 2048, 2060, -1])
def test_a_file_that_was_cut_short_is_no_database(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(MapError, match="is no whole cdb file"):
        check(path)
    with pytest.raises(MapError, match="is no whole cdb file"):
        list(records(path))


def test_a_record_that_reaches_beyond_the_records_is_damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2048:2052] = b"\xff\xff\x00\x00"
    path.write_bytes(content)
    with pytest.raises(MapError, match="is no whole cdb file"):
        list(records(path))
