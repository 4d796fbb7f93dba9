"""Rotated files that stay open for a while, and not for longer."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import LogCapture

from poprelay.sources.lingering import MOST, Lingering
from poprelay.sources.reading import Reading


class Elapsed:
    """Seconds since some start, as the test wants them."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def lingering(elapsed: Elapsed) -> Iterator[Lingering]:
    lingering = Lingering(elapsed)
    yield lingering
    lingering.close()


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Reading]:
    """Makes a file, opens it and reads it."""

    def make(name: str, content: bytes = b"one\n") -> Reading:
        (tmp_path / name).write_bytes(content)
        reading = Reading(tmp_path / name)
        reading.read(1000)
        return reading

    return make


Open = Callable[..., Reading]


def is_closed(reading: Reading) -> bool:
    return reading.descriptor < 0


def test_a_file_lingers_until_nothing_was_added_for_ten_minutes(
    lingering: Lingering, elapsed: Elapsed, opened: Open
) -> None:
    reading = opened("mail.log.1")
    lingering.add(reading)
    elapsed.seconds += 599
    lingering.let_go()
    assert [*lingering] == [reading]
    lingering.has_spoken(reading)
    elapsed.seconds += 599
    lingering.let_go()
    assert [*lingering] == [reading]
    elapsed.seconds += 1
    lingering.let_go()
    assert [*lingering] == []
    assert is_closed(reading)


def test_a_deleted_file_is_let_go_after_ten_seconds_since_it_takes_up_the_disk(
    lingering: Lingering, elapsed: Elapsed, opened: Open
) -> None:
    deleted, kept = opened("mail.log.2"), opened("mail.log.1")
    lingering.add(deleted)
    lingering.add(kept)
    deleted.path.unlink()
    elapsed.seconds += 9
    lingering.let_go()
    assert [*lingering] == [deleted, kept]
    elapsed.seconds += 1
    lingering.let_go()
    assert [*lingering] == [kept]
    assert is_closed(deleted)


def test_nobody_adds_to_a_compressed_file(lingering: Lingering, opened: Open) -> None:
    lingering.add(opened("mail.log.1.gz", gzip.compress(b"one\n")))
    lingering.let_go()
    assert [*lingering] == []


def test_the_oldest_goes_where_there_would_be_too_many(lingering: Lingering, opened: Open) -> None:
    readings = [opened(f"mail.log.{number}") for number in range(MOST + 1)]
    for reading in readings:
        lingering.add(reading)
    lingering.has_spoken(readings[1])
    assert [*lingering] == readings[1:]
    assert [is_closed(reading) for reading in readings] == [True] + [False] * MOST


def test_a_file_that_lingers_already_is_not_kept_twice(lingering: Lingering, opened: Open) -> None:
    first = opened("mail.log.1")
    again = Reading(first.path)
    lingering.add(first)
    lingering.add(again)
    assert [*lingering] == [first]
    assert lingering.identities == {first.identity}
    assert is_closed(again)
    assert not is_closed(first)


def test_half_a_line_that_is_left_out_is_said(lingering: Lingering, opened: Open, logged: LogCapture) -> None:
    whole, half = opened("mail.log.2"), opened("mail.log.1", b"one\ntw")
    lingering.add(whole)
    lingering.add(half)
    lingering.drop(whole)
    assert logged.entries == []
    lingering.drop(half)
    assert [(entry["event"], entry["path"]) for entry in logged.entries] == [
        ("rotated log ends in half a line, which is left out", str(half.path))
    ]


def test_files_may_go_while_they_are_looked_through(lingering: Lingering, opened: Open) -> None:
    readings = [opened(f"mail.log.{number}") for number in range(3)]
    for reading in readings:
        lingering.add(reading)
    for reading in lingering:
        lingering.drop(reading)
    assert [*lingering] == []


def test_closing_closes_all_and_nothing_lingers_then(lingering: Lingering, opened: Open) -> None:
    reading = opened("mail.log.1", b"half")
    lingering.add(reading)
    lingering.close()
    assert is_closed(reading)
    assert lingering.identities == set()
