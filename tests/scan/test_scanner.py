from __future__ import annotations

import builtins
import socket
import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import NoReturn
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.address import canonical
from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.model import Login, Origin
from poprelay.scan import Scanner, reader
from poprelay.scan.scanner import LINE_LIMIT
from poprelay.sources.lines import Lines

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC).timestamp()
NOISE = b"Nov 23 12:18:06 mx postfix/smtpd[1]: disconnect from unknown[192.0.2.9] ehlo=1 quit=1 commands=2\n"
BUILTIN = [catalog.find(name) for name in catalog.BUILTIN]


def login(user: str = "ann", *, stamp: str = "Nov 23 12:18:06", host: str = "mx", program: str = "dovecot") -> bytes:
    return (
        f"{stamp} {host} {program}: imap-login: Login: user=<{user}>, method=PLAIN, "
        f"rip=192.0.2.7, lip=192.0.2.25, mpid=1, TLS, session=<S{user[:3]}>\n"
    ).encode()


def scanner(*agents: Agent, hosts: tuple[str, ...] = (), near_misses: bool = False) -> Scanner:
    return Scanner(agents or BUILTIN, source="log", zone=ZoneInfo("UTC"), hosts=hosts, near_misses=near_misses)


def users(scan: Scanner, block: bytes) -> list[str | None]:
    return [event.user for event in scan.scan(block, now=NOW, horizon=NOW + 86400).events]


def test_a_login_is_seen_with_all_that_the_line_says() -> None:
    scanned = scanner().scan(NOISE + login(), now=NOW, horizon=NOW)
    at = datetime(2026, 11, 23, 12, 18, 6, tzinfo=UTC).timestamp()
    assert scanned.events == [
        Login(at, "ann", "192.0.2.7", "imap", True, "Sann", "dovecot", Origin("log", "mx"))  # type: ignore[arg-type]
    ]
    assert (scanned.numbers, scanned.lines, scanned.unmatched, scanned.newest) == ([1], 2, 0, at)


def test_lines_and_numbers_are_counted() -> None:
    block = NOISE * 3 + login("a") + login("b") + NOISE + b"\n" + login("c") + NOISE
    scanned = scanner().scan(block, now=NOW, horizon=NOW)
    assert (scanned.numbers, scanned.lines) == ([3, 4, 7], 9)


@pytest.mark.parametrize(("block", "lines"), [(b"", 0), (b"\n", 1), (b"x", 1), (b"x\ny", 2), (NOISE * 2, 2)])
def test_a_last_line_without_a_newline_counts(block: bytes, lines: int) -> None:
    assert scanner().scan(block, now=NOW, horizon=NOW).lines == lines


def test_a_login_in_a_last_line_without_a_newline_is_seen() -> None:
    assert users(scanner(), NOISE + login()[:-1]) == ["ann"]


def test_lines_end_at_newline_bytes_only() -> None:
    for breaker in ("\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x00"):
        assert users(scanner(), login(f"ann {breaker}b")) == [f"ann {breaker}b"]


def test_the_newest_stamp_is_that_of_the_last_line_if_it_has_one() -> None:
    scan = scanner()
    assert scan.scan(login() + NOISE.replace(b"12:18:06", b"12:19:00"), now=NOW, horizon=NOW).newest == NOW - 660
    assert scan.scan(login() + b"no stamp\n", now=NOW, horizon=NOW).newest is None
    assert scan.scan(b"", now=NOW, horizon=NOW).newest is None


def test_the_program_must_be_exactly_the_agents() -> None:
    block = b"".join(login(program=tag) for tag in ("Dovecot", "dovecot2", "xdovecot", "mx dovecot", "dovecot/imap"))
    assert not users(scanner(), block)
    renamed = type(catalog.find("dovecot"))(program=("dovecot2",))
    assert users(scanner(renamed), block) == ["ann"]


def test_a_program_with_a_star_is_any_prefix_before_the_last_slash() -> None:
    ours = Agent(
        name="ours",
        program=("*/imap", "*/pop3", "plain"),
        login=r"welcome (?P<user>\w+) at (?P<address>\S+)$",
        service={"imap": "imap", "pop3": "pop3", "plain": "imap"},
    )
    tags = ("cyrus/imap[7]", "a/b/pop3", "plain", "/imap", "imap", "x/imaps", "x/imap/y", "x/plain", "*/imap")
    block = b"".join(f"Nov 23 12:18:06 mx {tag}: welcome ann at 192.0.2.7\n".encode() for tag in tags) * 2
    events = scanner(ours).scan(block, now=NOW, horizon=NOW).events
    assert [event.service for event in events] == ["imap", "pop3", "imap", "imap"] * 2


def test_only_the_hosts_given_count() -> None:
    block = login("a", host="imap1") + login("b", host="imap2") + login("c", host="IMAP1") + login("d", host="imap1.x")
    assert users(scanner(hosts=("imap1",)), block) == ["a", "c"]
    assert not users(scanner(hosts=("imap1",)), b"Nov 23 12:18:06 " + login()[27:])
    assert users(scanner(), b"Nov 23 12:18:06 " + login()[len("Nov 23 12:18:06 mx dovecot: ") :]) == ["ann"]


def test_a_process_id_that_stays_is_told_from_one_that_changes() -> None:
    lines = "".join(
        f"Nov 23 12:18:06 mx ipop3d[{pid}]: Login user=ann host=[192.0.2.7] nmsgs=0/0\n" for pid in (7, 8, 7, 77)
    )
    events = scanner().scan(lines.encode(), now=NOW, horizon=NOW).events
    assert [event.session for event in events] == ["pid:7", "pid:8", "pid:7", "pid:77"]


def test_what_two_agents_know_goes_to_the_one_that_takes_it() -> None:
    other = Agent(name="other", program="dovecot", login=r"came: (?P<user>\w+) (?P<address>\S+)$")
    block = login("a") + b"Nov 23 12:18:06 mx dovecot: came: b 192.0.2.8\n"
    events = scanner(catalog.find("dovecot"), other).scan(block, now=NOW, horizon=NOW).events
    assert [(event.user, event.agent) for event in events] == [("a", "dovecot"), ("b", "other")]


def test_near_misses_are_counted_and_kept_if_asked() -> None:
    odd = b"Nov 23 12:18:06 mx dovecot: imap-login: Login: bob, 192.0.2.7, PLAIN, TLS"
    block = NOISE + odd + b"\n" + login() + NOISE.replace(b"unknown", b"imap-login: Login: x") + odd + b"\n"
    scanned = scanner().scan(block, now=NOW, horizon=NOW)
    assert (scanned.unmatched, scanned.near_misses) == (2, [])
    scanned = scanner(near_misses=True).scan(block, now=NOW, horizon=NOW)
    assert scanned.near_misses == [(1, odd), (4, odd)]


def test_a_failure_or_an_unknown_program_is_no_near_miss() -> None:
    block = (
        b"Nov 23 12:18:06 mx dovecot: imap-login: Disconnected: x: user=<imap-login: Login: user=<x>>, rip=192.0.2.7\n"
        b"Nov 23 12:18:06 mx dovecot: managesieve-login: Login: user=<x>\n"
        b"Nov 23 12:18:06 mx other: imap-login: Login: user=<x>\n"
    )
    assert scanner().scan(block, now=NOW, horizon=NOW).unmatched == 0


def test_an_operators_near_miss_is_a_message_with_its_text() -> None:
    ours = Agent(
        name="ours",
        program="popd",
        login=r"welcome (?P<user>\w+) at (?P<address>\S+)$",
        logout=r"goodbye (?P<user>\w+)$",
    )
    block = b"Nov 23 12:18:06 mx popd: welcome ann\nNov 23 12:18:06 mx popd: goodbye ann or not\n"
    assert scanner(ours).scan(block, now=NOW, horizon=NOW).unmatched == 1


def test_the_journals_bytes_are_read_though_no_needle_shows() -> None:
    message = ",".join(str(byte) for byte in login("jörg")[28:-1])
    said = '"__REALTIME_TIMESTAMP":"1795436286000000","SYSLOG_IDENTIFIER":"dovecot","_HOSTNAME":"mx"'
    line = f'{{{said},"MESSAGE":[{message}]}}\n'
    assert users(scanner(), line.encode()) == ["jörg"]


def test_a_line_beyond_the_limit_is_not_looked_at_and_does_no_harm() -> None:
    long = login("x" * LINE_LIMIT)
    assert users(scanner(), long + login()) == ["ann"]
    assert users(scanner(), login()[:-1] + b"x" * (20 * LINE_LIMIT) + b"\n" + login("b")) == ["b"]


def takes(block: bytes, *, near_misses: bool = False) -> float:
    """Seconds of CPU to see no event in it, at best."""

    def once() -> float:
        scan = scanner(near_misses=near_misses)
        before = time.process_time()
        assert not scan.scan(block, now=NOW, horizon=NOW).events
        return time.process_time() - before

    return min(once() for _ in range(3))


def test_hostile_lines_take_their_time_in_proportion_to_their_length() -> None:
    piece = b"imap-login: Login: user=<x>, method=PLAIN, rip=1.1.1.1, lip=1.1.1.1 "

    def block(length: int) -> bytes:
        return (b"Nov 23 12:18:06 mx dovecot: " + piece * (length // len(piece) - 1) + b"\n") * 64

    assert takes(block(LINE_LIMIT)) < 16 * takes(block(LINE_LIMIT // 8)), "8 times would be in proportion, 64 a square"


@pytest.mark.parametrize(
    "line", [b"IMAP(\n", b"IMAP(          \n", b"Nov 23 12:18:06 mx IMAP(\n", b"Nov 23 -login: Login: \n"]
)
def test_many_lines_that_look_promising_take_their_time_in_proportion(line: bytes) -> None:
    many = (1 << 20) // len(line)
    few = takes(line * (many // 8), near_misses=True)
    assert takes(line * many, near_misses=True) < 16 * few, "8 times would be in proportion, 64 a square"


def test_without_agents_lines_are_only_counted() -> None:
    scanned = Scanner([], source="log").scan(NOISE * 3, now=NOW, horizon=NOW)
    assert (scanned.events, scanned.lines) == ([], 3)


def test_reading_on_from_a_state_is_like_reading_on() -> None:
    vienna = ZoneInfo("Europe/Vienna")
    night = datetime(2026, 10, 25, 0, 59, 59, 500000, tzinfo=UTC).timestamp()
    first = Scanner(BUILTIN, source="log", zone=vienna)
    first.scan(login(stamp="Oct 25 02:59:59"), now=night, horizon=night + 86400)
    second = Scanner(BUILTIN, source="log", zone=vienna)
    second.restore(first.state())
    (event,) = second.scan(login(stamp="Oct 25 02:00:00"), now=night, horizon=night + 86400).events
    assert event.at == night + 0.5
    assert second.state() != first.state()


def test_a_fresh_state_and_a_foreign_one() -> None:
    scan = scanner()
    scan.restore(scanner().state())
    with pytest.raises(ValueError, match="not a reading state"):
        scan.restore(b"\xff")


lines = st.sampled_from(
    [
        NOISE,
        login("a"),
        login("b", stamp="2026-11-23T12:18:06.123456+01:00"),
        login("c", host="other"),
        login("d", program="dovecot[9]"),
        login("e", program="mail.info dovecot"),
        login("f").replace(b"Login:", b"Lo\xffgin:"),
        b"<22>" + login("g"),
        b"Nov 23 12:18:06 imap-login: Info: Login: user=<h>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.25\n",
        b"Nov 23 12:18:06 mx dovecot: imap(i)<1><S>: Disconnected: Logged out in=1 out=2\n",
        b"Nov 23 12:18:07 mx imapd[7]: [ID 7 mail.info] Login user=j host=[192.0.2.7]\n",
        b"Nov 23 12:18:06 mx dovecot: imap-login: Login: user=<k\n",
        b"Nov 23 12:18:06 mx dovecot imap-login: Login: user=<l>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.25\n",
        b"\n",
    ]
)


@given(written=st.lists(lines, max_size=12), cuts=st.lists(st.integers(0, 12), max_size=3))
def test_it_does_not_matter_how_lines_are_cut_into_blocks(written: list[bytes], cuts: list[int]) -> None:
    def read(scan: Scanner, block: bytes) -> list[object]:
        return list(scan.scan(block, now=NOW, horizon=NOW).events)

    alone = [event for line in written for event in read(scanner(), line)]
    assert read(scanner(), b"".join(written)) == alone
    pieces = scanner()
    edges = [0, *sorted(min(cut, len(written)) for cut in cuts), len(written)]
    blocks = [b"".join(written[low:high]) for low, high in pairwise(edges)]
    assert [event for block in blocks for event in read(pieces, block)] == alone


@given(block=st.binary(max_size=300) | st.lists(lines | st.binary(max_size=20), max_size=5).map(b"".join))
def test_no_bytes_make_it_fail(block: bytes) -> None:
    scanned = scanner(near_misses=True).scan(block, now=NOW, horizon=NOW)
    assert len(scanned.events) == len(scanned.numbers)
    assert scanned.unmatched == len(scanned.near_misses)


STAMPS = [
    b"Nov 23 12:18:06", b"Feb 30 25:61:61", b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:60-23:59", b"", b"<999>",
    b"2026/11/23 12:18:06", b"@400000004c91b044077a9e94", b"@40000000ffffffff3fffffff", b"9999999999.999999",
    b"Mon 2026-11-23 12:18:10 CET", b"Apr 31 2003 16:26:11", b'{"MESSAGE":"', b"#Fields:", b"2026-11-23T12:18:06Z,",
]  # fmt: skip
TAGS = [b" ", b" mx dovecot: ", b" mx imapd[7]: ", b" mx popper[7]: ", b" imap-login: ", b"\t", b'"']
MESSAGES = [
    b"imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.25",
    b"Login user=j host=[192.0.2.7]",
    b"Stats: a 0 0 0 0 x 192.0.2.7",
    b'","SYSLOG_IDENTIFIER":"imapd","__REALTIME_TIMESTAMP":"99999999999999999"}',
]
ANY_FRAMING = st.builds(
    b"%s%s%s\n".__mod__,
    st.tuples(
        st.sampled_from(STAMPS),
        st.sampled_from(TAGS) | st.binary(max_size=6),
        st.sampled_from(MESSAGES) | st.binary(max_size=30),
    ),
)


@given(st.lists(ANY_FRAMING, max_size=4).map(b"".join), PLACES)
def test_lines_of_any_framing_and_time_are_read_the_same_in_pieces(block: bytes, places: list[int]) -> None:
    whole = scanner().scan(block, now=NOW, horizon=NOW).events
    pieces, lines = scanner(), Lines()
    read = [lines.feed(piece).data for piece in cut(block, places)]
    assert [event for each in read for event in pieces.scan(each, now=NOW, horizon=NOW).events] == list(whole)
    assert {event.address for event in whole if isinstance(event, Login)} <= {"192.0.2.7"}


def test_words_that_were_seen_do_not_fill_the_memory_and_forgetting_them_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = b"".join(login().replace(b"192.0.2.7", b"9.9.9.%d" % number) for number in (1, 2, 1, 3, 4, 1, 2))
    expected = scanner().scan(block, now=NOW, horizon=NOW).events
    seen = mock.Mock(side_effect=canonical)
    monkeypatch.setattr(reader, "_MOST", 2)
    monkeypatch.setattr(reader, "canonical", seen)
    assert scanner().scan(block, now=NOW, horizon=NOW).events == expected
    # 1 and 2 are remembered for the third line; 3 does not fit beside them, nor do 1 and 2 beside 3 and 4
    assert [call.args[0] for call in seen.call_args_list] == [f"9.9.9.{number}" for number in (1, 2, 3, 4, 1, 2)]


def test_scanning_asks_no_clock_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scanner()

    def forbidden(*_: object, **__: object) -> NoReturn:
        raise AssertionError("scanning is pure")

    for owner, name in (
        (time, "time"),
        (time, "time_ns"),
        (time, "monotonic"),
        (builtins, "open"),
        (socket, "socket"),
    ):
        monkeypatch.setattr(owner, name, forbidden)
    scanned = scan.scan(login() + NOISE, now=NOW, horizon=NOW)
    monkeypatch.undo()
    assert len(scanned.events) == 1
