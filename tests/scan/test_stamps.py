from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.scan.ownstamps import OF_FILES, OF_JOURNALCTL, usual
from poprelay.scan.stamps import Stamps

VIENNA = ZoneInfo("Europe/Vienna")
UTC_ZONE = ZoneInfo("UTC")
DAY = 86400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def read(stamp: str, now: str, *, zone: ZoneInfo | None = UTC_ZONE, last: str | None = None) -> str | None:
    """What a stamp means in a file written just now, in UTC."""
    stamps = Stamps(zone)
    stamps.last = None if last is None else at(last)
    stamps.begin(at(now), at(now) + DAY)
    found = stamps.read(stamp.encode())
    return None if found is None else datetime.fromtimestamp(found, UTC).isoformat()


@pytest.mark.parametrize(
    ("stamp", "instant"),
    [
        ("2026-11-23T12:18:10+00:00", "2026-11-23T12:18:10+00:00"),
        ("2026-11-23T12:18:10.5+01:00", "2026-11-23T11:18:10.500000+00:00"),
        ("2026-11-23T12:18:10.123456Z", "2026-11-23T12:18:10.123456+00:00"),
        ("2026-11-23T12:18:10,250-0500", "2026-11-23T17:18:10.250000+00:00"),
        ("2026-02-30T12:18:10+00:00", None),
        ("2026-11-23T25:18:10+00:00", None),
        ("2026-11-23T12:18:10+99:00", None),
        ("9999-12-31 23:59:59", None),
        ("0001-01-01 00:00:00", None),
    ],
)
def test_an_iso_stamp_says_all_itself(stamp: str, instant: str | None) -> None:
    assert read(stamp, "2026-11-23T13:00:00+00:00") == instant


def test_dovecots_own_iso_stamp_is_local_time() -> None:
    assert read("2026-07-01 12:00:00", "2026-07-01T13:00:00+00:00", zone=VIENNA) == "2026-07-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("stamp", "now", "instant"),
    [
        ("Nov 23 12:18:10", "2026-11-23T12:18:10+00:00", "2026-11-23T12:18:10+00:00"),
        ("Nov 23 12:18:10.500", "2026-11-23T12:18:10+00:00", "2026-11-23T12:18:10.500000+00:00"),
        ("Jul 3 20:56:53", "2026-11-23T12:18:10+00:00", "2026-07-03T20:56:53+00:00"),
        # New Year: read at once, and read late
        ("Dec 31 23:59:59", "2027-01-01T00:00:01+00:00", "2026-12-31T23:59:59+00:00"),
        ("Jan  1 00:00:00", "2027-01-01T00:00:01+00:00", "2027-01-01T00:00:00+00:00"),
        ("Jan  1 00:00:05", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00:05+00:00"),
        ("Dec 31 12:00:00", "2027-06-01T00:00:00+00:00", "2026-12-31T12:00:00+00:00"),
        # up to a day ahead is this year's, to the second; beyond, last year's
        ("Nov 24 12:00:00", "2026-11-23T12:00:00+00:00", "2026-11-24T12:00:00+00:00"),
        ("Nov 24 12:00:01", "2026-11-23T12:00:00+00:00", "2025-11-24T12:00:01+00:00"),
        # February 29th
        ("Feb 29 10:00:00", "2028-03-01T00:00:00+00:00", "2028-02-29T10:00:00+00:00"),
        ("Feb 29 10:00:00", "2027-03-01T00:00:00+00:00", "2024-02-29T10:00:00+00:00"),
        ("Feb 29 10:00:00", "2103-03-01T00:00:00+00:00", "2096-02-29T10:00:00+00:00"),
        ("Feb 29 10:00:00", "2028-02-27T00:00:00+00:00", "2024-02-29T10:00:00+00:00"),
        # no time at all
        ("Feb 30 10:00:00", "2028-03-01T00:00:00+00:00", None),
        ("Foo 23 10:00:00", "2028-03-01T00:00:00+00:00", None),
        ("Nov  0 10:00:00", "2028-03-01T00:00:00+00:00", None),
        ("Nov 23 24:00:00", "2028-03-01T00:00:00+00:00", None),
        ("Nov 23 10:60:00", "2028-03-01T00:00:00+00:00", None),
        ("Nov 23 10:00:61", "2028-03-01T00:00:00+00:00", None),
    ],
)
def test_a_yearless_stamp_lies_in_the_latest_year_before_the_horizon(stamp: str, now: str, instant: str | None) -> None:
    assert read(stamp, now) == instant


def test_a_leap_second_is_the_end_of_its_minute() -> None:
    assert read("Dec 31 23:59:60", "2027-01-01T00:00:00+00:00") == "2026-12-31T23:59:59.999999+00:00"


def test_stamps_of_the_horizons_own_hour_each_get_their_year() -> None:
    stamps = Stamps(ZoneInfo("UTC"))
    stamps.begin(at("2026-11-22T12:30:00+00:00"), at("2026-11-23T12:30:00+00:00"))
    assert stamps.read(b"Nov 23 12:29:59") == at("2026-11-23T12:29:59+00:00")
    assert stamps.read(b"Nov 23 12:30:01") == at("2025-11-23T12:30:01+00:00")
    assert stamps.read(b"Nov 23 12:30:00") == at("2026-11-23T12:30:00+00:00")


def test_the_same_stamp_a_year_later_is_a_year_later() -> None:
    stamps = Stamps(ZoneInfo("UTC"))
    for year in (2026, 2027):
        now = at(f"{year}-11-23T12:18:10+00:00")
        stamps.begin(now, now + DAY)
        assert stamps.read(b"Nov 23 12:18:10") == now


@pytest.mark.parametrize(
    ("now", "instant"),
    [
        # 02:30 comes at 00:30 and at 01:30 UTC
        ("2026-10-25T00:30:01+00:00", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T01:29:59+00:00", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T01:30:00+00:00", "2026-10-25T01:30:00+00:00"),
        ("2026-10-26T12:00:00+00:00", "2026-10-25T01:30:00+00:00"),
    ],
)
@pytest.mark.parametrize("stamp", ["Oct 25 02:30:00", "2026-10-25 02:30:00"])
def test_a_repeated_hour_is_the_reading_nearest_to_now_and_not_after_it(stamp: str, now: str, instant: str) -> None:
    assert read(stamp, now, zone=VIENNA) == instant


def test_the_repeated_hour_does_not_fall_back_behind_what_was_read() -> None:
    # the second 02:00:00 is read by a clock that is a moment behind the writer's
    now = "2026-10-25T00:59:59.5+00:00"
    last = "2026-10-25T00:59:59+00:00"
    assert read("Oct 25 02:00:00", now, zone=VIENNA, last=last) == "2026-10-25T01:00:00+00:00"
    assert read("Oct 25 02:00:00", now, zone=VIENNA) == "2026-10-25T00:00:00+00:00"


def test_following_through_the_repeated_hour_is_exact() -> None:
    stamps = Stamps(VIENNA)
    begin = at("2026-10-24T23:30:00+00:00")
    for minute in range(180):
        now = begin + minute * 60
        local = datetime.fromtimestamp(now, VIENNA).strftime("%b %d %H:%M:%S").encode()
        stamps.begin(now + 0.2, now + DAY)
        assert stamps.read(local) == now


def test_a_skipped_time_is_read_as_the_earlier_that_it_may_mean() -> None:
    # 02:30 on March 29th does not come: summer time's reading is 00:30 UTC, winter time's 01:30
    assert read("Mar 29 02:30:00", "2026-03-29T12:00:00+00:00", zone=VIENNA) == "2026-03-29T00:30:00+00:00"


def test_an_hour_that_is_repeated_in_half_is_right_in_both_halves() -> None:
    # Lord Howe sets its clocks back by 30 minutes, at 02:00 to 01:30
    howe = ZoneInfo("Australia/Lord_Howe")
    stamps = Stamps(howe)
    stamps.begin(at("2026-04-04T15:20:00+00:00"), at("2026-04-05T12:00:00+00:00"))
    assert stamps.read(b"Apr  5 01:10:00") == at("2026-04-04T14:10:00+00:00")
    assert stamps.read(b"Apr  5 01:40:00") == at("2026-04-04T15:10:00+00:00")


@pytest.fixture
def in_vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_vienna")
def test_without_a_zone_it_is_this_hosts() -> None:
    assert read("Jul  1 12:00:00", "2026-07-01T13:00:00+00:00", zone=None) == "2026-07-01T10:00:00+00:00"
    assert read("Oct 25 02:30:00", "2026-10-25T01:00:00+00:00", zone=None) == "2026-10-25T00:30:00+00:00"


@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
    zone=st.sampled_from(["UTC", "Europe/Vienna", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"]),
    late=st.floats(0, 300 * DAY),
)
def test_a_stamp_that_was_written_is_read_as_an_instant_that_shows_it(moment: datetime, zone: str, late: float) -> None:
    place = ZoneInfo(zone)
    written = moment.replace(microsecond=0)
    now = written.timestamp() + late
    stamps = Stamps(place)
    stamps.begin(now, now + DAY)
    found = stamps.read(written.astimezone(place).strftime("%b %d %H:%M:%S").encode())
    assert found is not None
    assert datetime.fromtimestamp(found, place).replace(tzinfo=None) == written.astimezone(place).replace(tzinfo=None)
    assert abs(found - written.timestamp()) <= 7200


@given(
    hours=st.lists(st.sampled_from([b"Nov 23 12", b"Nov 23 13", b"Feb 29 01", b"Oct 25 02", b"Nov  3 01"]), max_size=3),
    stamp=st.from_regex(rb"(Nov 23|Feb 29|Oct 25|Nov  3|Nov 3) [ 0-9]{2}:[0-9 :]{2}:[0-9:+ ]{2}", fullmatch=True),
)
def test_the_quick_way_gives_what_the_thorough_one_gives(hours: list[bytes], stamp: bytes) -> None:
    now = at("2026-11-23T12:30:00+00:00")
    stamps, other = Stamps(VIENNA), Stamps(VIENNA)
    for reading in (stamps, other):
        reading.begin(now, now + DAY)
    for hour in hours:
        stamps.read(hour + b":00:00")
    found = stamps.quick(stamp)
    assert found is None or found == other.read(stamp)


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(2500, 1, 1)),
    hours=st.integers(-14, 14),
    places=st.sampled_from([0, 3, 6]),
)
def test_a_precise_stamp_is_read_precisely(moment: datetime, hours: int, places: int) -> None:
    written = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    precision = {0: "seconds", 3: "milliseconds", 6: "microseconds"}[places]
    stamp = written.isoformat(timespec=precision)
    exact = datetime.fromisoformat(stamp).timestamp()
    assert Stamps().precise(stamp.encode()) == pytest.approx(exact, abs=1e-5)
    assert Stamps().read(stamp.encode()) == pytest.approx(exact, abs=1e-5)


@given(
    st.from_regex(rb"(?a:[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d(\.\d{1,9})?)", fullmatch=True)
    | st.from_regex(rb"(?a:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?)", fullmatch=True)
    | st.from_regex(OF_FILES + b"|" + OF_JOURNALCTL.replace(b"?+", b"?"), fullmatch=True).map(usual),
    st.floats(0, 4e9),
)
def test_no_stamp_makes_it_fail_nor_is_an_instant_that_no_clock_shows(stamp: bytes | float, now: float) -> None:
    stamps = Stamps(VIENNA)
    stamps.begin(now, now + DAY)
    found = stamps.read(stamp)
    assert found is None or datetime.fromtimestamp(found, UTC).year < 10_000
