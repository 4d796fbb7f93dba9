from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from poprelay.model import Instant
from poprelay.scan.headers import split
from poprelay.scan.stamps import Stamps

LATER = datetime(2030, 1, 1, tzinfo=UTC).timestamp()


def at(stamp: bytes) -> Instant | None:
    """What a stamp means before a message of the server's own, in Vienna."""
    header = split(stamp + b" message: of its own")
    if header is None:
        return None
    assert (header.host, header.program, header.pid, header.message) == (b"", b"", b"", b"message: of its own")
    stamps = Stamps(ZoneInfo("Europe/Vienna"))
    stamps.begin(LATER, LATER)
    return stamps.read(header.stamp)


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        (b"2026/11/23 12:36:49", datetime(2026, 11, 23, 11, 36, 49)),
        (b"Apr 23 2003 16:26:11", datetime(2003, 4, 23, 14, 26, 11)),
        (b"Apr  3 2003 16:26:11", datetime(2003, 4, 3, 14, 26, 11)),
        (b"2024-05-11 10:23:45,207", datetime(2024, 5, 11, 8, 23, 45, 207000)),
        (b"@400000004c91b04400000000", datetime(2010, 9, 16, 5, 50, 50)),
    ],
)
def test_the_stamps_of_servers_own_files_are_read(stamp: bytes, utc: datetime) -> None:
    assert at(stamp) == utc.replace(tzinfo=UTC).timestamp()


def test_the_fraction_of_a_tai64n_stamp_counts() -> None:
    assert at(b"@400000004c91b044077a9e94") == pytest.approx(1284616250.125476, abs=1e-6)


@pytest.mark.parametrize(
    "stamp",
    [
        b"2026/13/23 12:36:49",
        b"2026/11/31 12:36:49",
        b"Foo 23 2003 16:26:11",
        b"Apr 31 2003 16:26:11",
        b"@500000004c91b04400000000",
        b"@400000004C91B04400000000",
        b"@400000004c91b044",
        b"2026/11/23T12:36:49",
    ],
)
def test_what_is_no_time_is_none(stamp: bytes) -> None:
    assert at(stamp) is None


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        (b"Mon 2026-11-23 12:36:49 CET", datetime(2026, 11, 23, 11, 36, 49)),
        (b"Mon 2026-11-23 12:36:49 UTC", datetime(2026, 11, 23, 12, 36, 49)),
        (b"Mon 2026-11-23 12:36:49.123456 UTC", datetime(2026, 11, 23, 12, 36, 49, 123456)),
        (b"1795437409.123456", datetime(2026, 11, 23, 12, 36, 49, 123456)),
        (b"Nov 23 13:36:49.123456", datetime(2026, 11, 23, 12, 36, 49, 123456)),
        (b"2026-11-23T13:36:49.123456+01:00", datetime(2026, 11, 23, 12, 36, 49, 123456)),
        (b"2026-11-23T13:36:49+0100", datetime(2026, 11, 23, 12, 36, 49)),
    ],
)
def test_journalctls_short_forms_are_syslog_lines(stamp: bytes, utc: datetime) -> None:
    header = split(stamp + b" mx dovecot[123]: imap-login: Login")
    assert header is not None
    assert (header.host, header.program, header.pid, header.message) == (
        b"mx",
        b"dovecot",
        b"123",
        b"imap-login: Login",
    )
    stamps = Stamps(ZoneInfo("Europe/Vienna"))
    stamps.begin(datetime(2026, 11, 24, tzinfo=UTC).timestamp(), datetime(2026, 11, 25, tzinfo=UTC).timestamp())
    assert stamps.read(header.stamp) == pytest.approx(utc.replace(tzinfo=UTC).timestamp(), abs=1e-5)


def test_the_continuation_of_a_message_is_no_line() -> None:
    assert split(b"                                 Nov 23 12:18:10 mx dovecot: imap-login: Login") is None
    assert split(b"-- Boot 0123 --") is None
