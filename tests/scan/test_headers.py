from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.scan.headers import Header, split

USUAL = Header(stamp=b"Nov 23 12:18:10", host=b"mx", program=b"imapd", pid=b"99", message=b"Login user=ann")
ISO = b"2026-11-23T12:18:10.123456+00:00"


@pytest.mark.parametrize(
    "line",
    [
        b"Nov 23 12:18:10 mx imapd[99]: Login user=ann",
        b"<22>Nov 23 12:18:10 mx imapd[99]: Login user=ann",
        b"Nov 23 12:18:10 mx mail.info imapd[99]: Login user=ann",
        b"Nov 23 12:18:10 mx imapd[99]: [ID 210418 mail.info] Login user=ann",
    ],
)
def test_traditional_syslog_is_taken_apart(line: bytes) -> None:
    assert split(line) == USUAL


@pytest.mark.parametrize(
    "stamp",
    [
        b"Apr  5 09:12:13",
        b"Jul 3 20:56:53",
        b"Nov 23 12:18:10.123",
        ISO,
        b"2026-11-23T12:18:10Z",
        b"2026-11-23T12:17:36+0000",
        b"2026-11-23T12:18:10",
        b"2026-11-23 12:18:10",
        b"2026-11-23T12:18:10,123-05:00",
    ],
)
def test_stamps_of_every_form_are_recognised(stamp: bytes) -> None:
    header = split(stamp + b" mx.example.org dovecot: imap-login: Login")
    assert header == Header(stamp, b"mx.example.org", b"dovecot", b"", b"imap-login: Login")


@pytest.mark.parametrize("host", [b"mx", b"mx.example.org", b"192.0.2.25", b"2001:db8::25", b"my_host-1"])
def test_a_host_is_a_name_or_an_address(host: bytes) -> None:
    header = split(b"Nov 23 12:18:10 " + host + b" imapd: x")
    assert header is not None
    assert (header.host, header.program) == (host, b"imapd")


@pytest.mark.parametrize(
    ("line", "header"),
    [
        (b"<22>1 " + ISO + b" mx imapd 99 - -  Login", Header(ISO, b"mx", b"imapd", b"99", b"Login")),
        (b"<22>1 " + ISO + b" mx dovecot - - - x", Header(ISO, b"mx", b"dovecot", b"", b"x")),
        (b"<22>1 " + ISO + b" - - - - - x", Header(ISO, b"", b"", b"", b"x")),
        (b"dovecot: Oct 02 23:34:07 Info: x", Header(b"Oct 02 23:34:07", b"", b"dovecot", b"", b"Info: x")),
        (
            b"<22>1 " + ISO + b' mx imapd 99 ID7 [a@1 b="c\\" \\] d"][e] \xef\xbb\xbfLogin',
            Header(ISO, b"mx", b"imapd", b"99", b"Login"),
        ),
    ],
)
def test_rfc_5424_is_taken_apart(line: bytes, header: Header) -> None:
    assert split(line) == header


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"Nov 23 12:18:10 imap-login: Info: Login: user=<ann>", b"imap-login: Info: Login: user=<ann>"),
        (b"2026-11-23 12:18:10 pop3-login: Info: x", b"pop3-login: Info: x"),
        (b"Nov 23 12:18:10 imap(ann x dovecot: y)<1><S>: Info: z", b"imap(ann x dovecot: y)<1><S>: Info: z"),
    ],
)
def test_a_servers_own_file_has_no_host_and_no_program(line: bytes, message: bytes) -> None:
    header = split(line)
    assert header is not None
    assert (header.host, header.program, header.message) == (b"", b"", message)


def journal(**fields: str) -> bytes:
    said = {"__REALTIME_TIMESTAMP": '"1795436286669498"', "SYSLOG_IDENTIFIER": '"dovecot"', "MESSAGE": '"x"', **fields}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in said.items()) + "}").encode()


def test_the_journals_json_is_taken_apart() -> None:
    line = journal(_HOSTNAME='"mx"', _PID='"99"', MESSAGE='"say \\"ann\\""', _EXE='"/usr/lib/dovecot/log"')
    assert split(line) == Header(1795436286.669498, b"mx", b"dovecot", b"99", b'say "ann"')


def test_a_journal_message_of_bytes_is_those_bytes() -> None:
    header = split(journal(MESSAGE="[106,246,10]"))
    assert header is None  # a newline in it
    header = split(journal(MESSAGE="[106,246]"))
    assert header is not None
    assert header.message == b"j\xf6"


def test_a_journal_message_that_was_too_long_to_show_is_empty() -> None:
    header = split(journal(MESSAGE="null"))
    assert header is not None
    assert header.message == b""


@pytest.mark.parametrize(
    "line",
    [
        journal(MESSAGE='"one\\ntwo"'),
        journal(MESSAGE="[300]"),
        journal(SYSLOG_IDENTIFIER='["dovecot","imapd"]'),
        journal(__REALTIME_TIMESTAMP='"soon"'),
        journal(__REALTIME_TIMESTAMP='"' + "9" * 400 + '"'),
        journal(MESSAGE='["one","two"]'),
        journal(MESSAGE="[[106],[246]]"),
        journal(MESSAGE="7"),
        journal(_PID='["1","2"]'),
        b'{"MESSAGE":"x"}',
        b'{"A":' + b"[" * 60000,
        b"{",
        b"",
        b"dovecot: imap-login: Login",
        b"@400000004c91b044077a9e94 imap-login: Info: Login",
        b"Nov 23 12:18 mx imapd: x",
        b"  Nov 23 12:18:10 mx imapd: x",
        b"2026-11-23T12:18:10 ",
    ],
)
def test_anything_else_is_no_header_or_has_no_program(line: bytes) -> None:
    header = split(line)
    assert header is None or header.program == b""


@given(line=st.binary(max_size=200) | st.binary(max_size=80).map(lambda rest: b"Nov 23 12:18:10 mx imapd" + rest))
def test_no_bytes_make_it_fail(line: bytes) -> None:
    split(line)


FIELDS = st.sampled_from(["MESSAGE", "SYSLOG_IDENTIFIER", "__REALTIME_TIMESTAMP", "_HOSTNAME", "_PID"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    SCALARS | st.just("9" * 5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(FIELDS, VALUES | st.just("1"), max_size=5).map(json.dumps))
def test_no_json_makes_it_fail(line: str) -> None:
    split(line.encode("ascii"))


@pytest.mark.parametrize("microseconds", ["-1", "-99999999999999999999999", "253402300800000000", "9" * 400])
def test_an_entry_of_a_time_that_no_clock_shows_is_none(microseconds: str) -> None:
    entry = {"MESSAGE": "x", "SYSLOG_IDENTIFIER": "imapd", "__REALTIME_TIMESTAMP": microseconds}
    assert split(json.dumps(entry).encode()) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Nov 23 12:18:10 " + b"a" * 65536,
        b"Nov 23 12:18:10 " + b"a:" * 32768,
        b"Nov 23 12:18:10 mx " + b"a.b " * 16384,
        b"Nov 23 12:18:10 mx imapd[" + b"9" * 65536,
        b"<22>1 " + ISO + b" mx imapd - - [a" + b' b="c' * 10000,
        b"<22>1 " + ISO + b" mx imapd - - " + b"[a]" * 20000,
        b"<22>1 " + ISO + b' mx imapd - - [a b="' + b"\\\\" * 30000,
        b'{"MESSAGE":' + b"[1," * 20000,
        b'"a"\t' * 20000,
        b'"' + b"A" * 65536,
        b"2026-10-01T08:20:00.000Z," + b"," * 65536,
        b"Mon 2026-11-23 12:18:10 UTC " + b"a.b " * 16384,
    ],
)
def test_a_hostile_line_takes_linear_time(line: bytes) -> None:
    before = time.process_time()
    split(line)
    assert time.process_time() - before < 0.05
