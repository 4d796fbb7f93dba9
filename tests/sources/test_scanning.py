"""How what a scanner saw becomes a batch, and what a config may say of every log of lines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from poprelay.agents import catalog
from poprelay.config.problem import Problem
from poprelay.config.section import Section
from poprelay.sources import Batch
from poprelay.sources.lines import Block
from poprelay.sources.scanning import MakeScanner, scanned_batch, scanner_from_section
from sources.everyline import NOW, EveryLine, users

LINE = (
    b"Jan  5 12:00:00 imap1 dovecot: imap-login: Login: user=<ann>, method=PLAIN, "
    b"rip=192.0.2.7, lip=198.51.100.1, mpid=4, TLS, session=<k>\n"
)


def configured(**keys: object) -> tuple[MakeScanner, list[Problem]]:
    problems: list[Problem] = []
    section = Section(dict(keys), ("sources", 0), problems)
    make = scanner_from_section(section, [catalog.find("dovecot")], "mail log")
    section.finish()
    return make, problems


def batch(make: MakeScanner, data: bytes, *, modified: float | None = None) -> Batch:
    return scanned_batch(make(), Block(data), now=NOW, modified=modified, position=bytes, caught_up=True)


def test_a_batch_says_all_that_was_seen_and_when_it_was_read() -> None:
    scanner = EveryLine()
    block = Block(b"ann\nbob?\n\n", cut=1)
    made = scanned_batch(scanner, block, now=NOW, modified=None, position=lambda: b"here", caught_up=True)
    assert users(made) == ["ann", "bob?"]
    assert (made.read_at, made.position, made.caught_up) == (NOW, b"here", True)
    assert (made.lines, made.cut, made.unmatched, made.newest) == (3, 1, 1, NOW - 60)
    other = scanned_batch(scanner, Block(b""), now=NOW, modified=None, position=lambda: b"there", caught_up=False)
    assert other == Batch(events=(), position=b"there", read_at=NOW, caught_up=False, newest=NOW - 60)


def test_the_position_holds_the_state_of_the_scanner_after_the_block() -> None:
    scanner = EveryLine()
    made = scanned_batch(scanner, Block(b"ann\nbob\n"), now=NOW, modified=None, position=scanner.state, caught_up=False)
    assert made.position == b"2"


@pytest.mark.parametrize(("modified", "horizon"), [(1_700_000_000, 1_700_086_400), (None, NOW + 86_400), (0, 86_400)])
def test_no_stamp_means_a_time_more_than_a_day_after_the_last_write(modified: float | None, horizon: float) -> None:
    scanner = EveryLine()
    scanned_batch(scanner, Block(b"ann\n"), now=NOW, modified=modified, position=bytes, caught_up=False)
    assert scanner.asked == [(NOW, horizon)]


def test_a_stamp_without_a_year_is_of_the_year_in_which_its_log_was_last_written() -> None:
    make, _ = configured(timezone="UTC")
    written = datetime(2024, 1, 5, 11, tzinfo=UTC).timestamp()
    assert [event.at for event in batch(make, LINE, modified=written).events] == [written + 3600]
    assert [event.at for event in batch(make, LINE).events] == [datetime(2027, 1, 5, 12, tzinfo=UTC).timestamp()]


def test_a_config_gives_the_time_zone_of_its_stamps() -> None:
    make, problems = configured(timezone="Asia/Kolkata")
    assert problems == []
    at = datetime(2027, 1, 5, 6, 30, tzinfo=UTC).timestamp()
    assert [event.at for event in batch(make, LINE).events] == [at]


def test_a_config_gives_the_hosts_whose_lines_count() -> None:
    assert users(batch(configured()[0], LINE)) == ["ann"]
    assert users(batch(configured(hosts=["imap2", "IMAP1"])[0], LINE)) == ["ann"]
    assert users(batch(configured(hosts=["imap2"])[0], LINE)) == []


def test_every_reading_begins_with_a_fresh_scanner_that_knows_its_source() -> None:
    make, _ = configured()
    assert make() is not make()
    assert [event.origin.source for event in batch(make, LINE).events] == ["mail log"]


@pytest.mark.parametrize("zone", ["Vienna", "", "../../etc/passwd", "Europe", "a" * 300, "\0", 1])
def test_a_time_zone_that_is_none_is_refused(zone: object) -> None:
    _, problems = configured(timezone=zone)
    assert {problem.path for problem in problems} == {("sources", 0, "timezone")}


def test_a_host_that_is_given_twice_is_refused() -> None:
    assert [problem.path for problem in configured(hosts=["a", "a"])[1]] == [("sources", 0, "hosts", 1)]
