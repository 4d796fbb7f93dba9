from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.agents.base import Agent
from poprelay.scan import Scanned, Scanner
from poprelay.scan.sessions import MOST, Half, Key, Sessions

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC).timestamp()


class Two(Agent):
    """One line says the address, another the name."""

    name = "two"
    program = ("twod", "*/two")
    connect = r"from (?P<address>\S+)$"
    login = (r"ok (?P<user>\w+) \[(?P<address>\S+)\]$", r"ok (?P<user>.+)$")
    ends = r"failed"
    logout = r"bye (?P<user>\w+)$"
    pid_is_session = True


def scanner() -> Scanner:
    return Scanner([Two()], source="log", zone=ZoneInfo("UTC"))


def line(message: str, *, pid: str = "[5]", host: str = "mx", program: str = "twod", clock: str = "12:18:06") -> bytes:
    return f"Nov 23 {clock} {host} {program}{pid}: {message}\n".encode()


def scan(on: Scanner, *lines: bytes) -> Scanned:
    return on.scan(b"".join(lines), now=NOW, horizon=NOW + 86400)


def seen(*lines: bytes) -> list[tuple[str | None, str | None]]:
    return [(event.user, event.address) for event in scan(scanner(), *lines).events]


def test_a_login_has_the_address_of_its_connect_and_the_number_of_its_own_line() -> None:
    scanned = scan(scanner(), line("from 192.0.2.7"), line("noise"), line("ok ann"))
    assert [(event.user, event.address, event.session) for event in scanned.events] == [("ann", "192.0.2.7", "pid:5")]
    assert (scanned.numbers, scanned.lines) == ([2], 3)


def test_a_success_without_its_connect_grants_nothing() -> None:
    assert seen(line("ok ann")) == []
    assert seen(line("from 192.0.2.7"), line("ok ann"), line("ok bob")) == [("ann", "192.0.2.7")]


@pytest.mark.parametrize(
    "other",
    [{"pid": "[6]"}, {"host": "mx2"}, {"program": "a/two"}, {"pid": ""}],
    ids=["pid", "host", "program", "none"],
)
def test_both_lines_are_of_one_host_program_and_process(other: dict[str, str]) -> None:
    assert seen(line("from 192.0.2.7"), line("ok ann", **other)) == []


def test_without_a_process_id_nothing_is_joined() -> None:
    assert seen(line("from 192.0.2.7", pid=""), line("ok ann", pid="")) == []


def test_any_prefix_before_the_slash_is_joined_with_its_own() -> None:
    assert seen(line("from 192.0.2.7", program="x/y/two"), line("ok ann", program="x/y/two")) == [("ann", "192.0.2.7")]
    assert seen(line("from 192.0.2.7", program="/two"), line("ok ann", program="/two")) == []
    assert seen(line("from 192.0.2.7", program="two"), line("ok ann", program="two")) == []


def test_the_latest_connect_counts() -> None:
    assert seen(line("from 192.0.2.66"), line("from 192.0.2.7"), line("ok ann")) == [("ann", "192.0.2.7")]


@pytest.mark.parametrize("odd", ["nowhere", "0.0.0.0", "::", "192.0.2.300"])
def test_a_connect_from_no_address_replaces_too(odd: str) -> None:
    assert seen(line("from 192.0.2.66"), line(f"from {odd}"), line("ok ann")) == []


@pytest.mark.parametrize("end", ["failed", "bye bob"])
def test_an_end_takes_the_connect_away(end: str) -> None:
    events = seen(line("from 192.0.2.66"), line(end), line("ok ann"))
    assert [event for event in events if event[1] is not None] == []


def test_a_connect_lasts_as_long_as_the_agent_says_by_the_logs_own_time() -> None:
    connect = line("from 192.0.2.7", clock="12:18:06")
    assert seen(connect, line("ok ann", clock="12:28:06")) == [("ann", "192.0.2.7")]
    assert seen(connect, line("ok ann", clock="12:28:07")) == []
    assert seen(connect, line("ok ann", clock="12:13:06")) == [("ann", "192.0.2.7")]
    assert seen(connect, line("ok ann", clock="12:13:05")) == []


def test_a_login_that_says_another_address_than_its_connect_is_read_without_it() -> None:
    connect = line("from 192.0.2.7")
    assert seen(line("ok ann [192.0.2.7]")) == [("ann", "192.0.2.7")]
    assert seen(connect, line("ok ann [::ffff:192.0.2.7]")) == [("ann", "192.0.2.7")]
    assert seen(connect, line("ok ann [192.0.2.66]")) == [("ann [192.0.2.66]", "192.0.2.7")]


def test_a_half_seen_session_survives_a_restart() -> None:
    first, second = scanner(), scanner()
    scan(first, line("from 192.0.2.7", host="m\xfcx"))
    second.restore(first.state())
    assert [event.address for event in scan(second, line("ok ann", host="m\xfcx")).events] == []  # that is no host
    scan(first, line("from 192.0.2.7"))
    second.restore(first.state())
    assert [event.address for event in scan(second, line("ok ann")).events] == ["192.0.2.7"]
    assert second.state() == scanner().state()


def key(number: int) -> Key:
    return b"a", b"mx", b"d", b"%d" % number


def test_a_flood_of_connects_pushes_out_the_oldest_and_takes_no_more_room() -> None:
    sessions = Sessions()
    for number in range(MOST + 5):
        sessions.connect(key(number), Half(0.0, 600.0, b"192.0.2.7", b""))
    assert len(sessions.state()) == MOST
    assert sessions.find(key(4), 0.0) is None
    assert sessions.find(key(5), 0.0) is not None


def test_what_is_too_old_is_forgotten_when_others_come() -> None:
    sessions = Sessions()
    sessions.connect(key(1), Half(0.0, 600.0, b"192.0.2.7", b""))
    sessions.connect(key(2), Half(601.0, 1201.0, b"192.0.2.7", b""))
    assert [kept.key for kept in sessions.state()] == [key(2)]


messages = st.sampled_from(
    ["from 192.0.2.7", "from 192.0.2.8", "from x", "ok ann", "ok bob", "failed", "bye ann", "noise"]
)
lines = st.builds(line, messages, pid=st.sampled_from(["[5]", "[6]", ""]), host=st.sampled_from(["mx", "mx2"]))


@given(written=st.lists(lines, max_size=14), cuts=st.lists(st.integers(0, 14), max_size=3))
def test_restarting_anywhere_loses_and_doubles_nothing(written: list[bytes], cuts: list[int]) -> None:
    whole = scan(scanner(), *written).events
    on, events = scanner(), []
    for low, high in pairwise([0, *sorted(min(cut, len(written)) for cut in cuts), len(written)]):
        after = scanner()
        after.restore(on.state())
        on = after
        events += scan(on, *written[low:high]).events
    assert events == whole
