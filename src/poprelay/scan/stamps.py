"""Stamps to instants: the year that a syslog line leaves out, the zone that it means, the hour that comes twice.

A yearless stamp lies in the latest year that puts it no later than the horizon (the file's modification time and a
day). A local time that a change of the clocks made come twice is the reading nearest to now and not after it, but never
falls back behind what was read before; one that the change skipped is read as the earlier of what it may mean.
"""

from __future__ import annotations

import time
from calendar import timegm
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Final

from poprelay.model import Instant

SLACK: Final = 300.0
"""Seconds by which clocks of honest hosts differ."""

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SHAPE: Final = bytes.maketrans(b"123456789-", b"000000000+")
_PRECISE: Final = {  # the shape of a stamp, and where its offset begins
    f"0000+00+00T00:00:00{fraction}{offset}".encode(): 19 + len(fraction)
    for fraction in ("", ".000", ".000000")
    for offset in ("Z", "+00:00", "+0000")
}
_DAY: Final = 86400
_YEARS_BACK: Final = 8  # the longest time without a February 29th, around 1900 and 2100
_MOST: Final = 65536  # seconds, and minutes, remembered at once


class Stamps:
    """Reads the stamps of one source, in the order of its lines. `zone` None is this host's own."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self.last: Instant | None = None
        """The last instant read that needed thought: what keeps the repeated hour in order across restarts."""
        self.seconds: dict[bytes, Instant] = {}
        """Stamps that `read` need not be asked again until the next `begin`."""
        self._zone = zone
        self._now: Instant = 0.0
        self._horizon: Instant = 0.0
        self._minutes: dict[bytes, Instant] = {}
        self._hours: dict[bytes, Instant] = {}

    def begin(self, now: Instant, horizon: Instant) -> None:
        """Read from here on as seen at `now`; no yearless stamp means a time after `horizon`."""
        if now != self._now or horizon != self._horizon:
            self._now, self._horizon = now, horizon
            self.seconds.clear()
            self._hours.clear()

    def read(self, stamp: bytes | Instant) -> Instant | None:
        """The instant that a stamp means, or None if it is no time."""
        if isinstance(stamp, float):
            return stamp
        at = self.seconds.get(stamp)
        if at is not None:
            return at
        if stamp[4:5] != b"-":
            return self._traditional(stamp)
        at = self.precise(stamp)
        return self._iso(stamp) if at is None else at

    def quick(self, stamp: bytes) -> Instant | None:
        """What `read` gives, for a stamp in a usual form that takes no thought; None where it must be asked.

        Unlike `read` it may be given any bytes.
        """
        if len(stamp) != 15:
            return self.precise(stamp)
        start = self._hours.get(stamp[:9])
        if start is None or stamp[9:].translate(_SHAPE) != b":00:00":
            return None
        minute, second = int(stamp[10:12]), int(stamp[13:])
        return self._remember(stamp, start + minute * 60 + second) if minute < 60 and second < 60 else None

    def precise(self, stamp: bytes) -> Instant | None:
        """The instant of a stamp in one of the usual forms that say date, time and offset; None if it is in none.

        >>> Stamps().precise(b"2026-11-23T12:18:10.500000+01:00"), Stamps().precise(b"Nov 23 12:18:10")
        (1795432690.5, None)
        """
        offset = _PRECISE.get(stamp.translate(_SHAPE))
        if offset is None:
            return None
        minute = stamp[:17] + stamp[offset:]
        start = self._minutes.get(minute)
        if start is None:
            try:
                start = datetime.fromisoformat((stamp[:17] + b"00" + stamp[offset:]).decode("ascii")).timestamp()
            except ValueError:
                return None
            if len(self._minutes) >= _MOST:
                self._minutes.clear()
            self._minutes[minute] = start
        second = float(stamp[17:offset])
        return start + second if second < 60 else None

    def _traditional(self, stamp: bytes) -> Instant | None:
        hour, _, rest = stamp.partition(b":")
        minute, second = int(rest[:2]), float(rest[3:])
        if minute > 59 or second >= 61:
            return None
        start = self._hours.get(hour)
        if start is None:
            start = self._hour(hour)
        if start is not None:
            return self._remember(stamp, start + minute * 60 + min(second, 59.999999))
        return self._yearless(hour, minute * 60 + second)

    def _hour(self, hour: bytes) -> Instant | None:
        """When the hour `Nov 23 12` began, if it is a plain one: wholly before the horizon and of one meaning."""
        naive = self._year(hour, 0.0)
        if naive is None or naive != self._year(hour, 3599.0):
            return None
        first, last = self._readings(naive), self._readings(naive + 3599)
        if len(first) == len(last) == 1 and last[0] - first[0] == 3599:
            self._hours[hour] = first[0]
            return first[0]
        return None

    def _yearless(self, hour: bytes, seconds: float) -> Instant | None:
        naive = self._year(hour, seconds)
        return None if naive is None else self._choose(naive + seconds)

    def _year(self, hour: bytes, seconds: float) -> int | None:
        """The hour as a local time, in the latest year that puts so many seconds into it no later than the horizon."""
        name, number, clock = hour.split()
        month, day, hours = _MONTHS.get(name, 0), int(number), int(clock)
        if not (month and 1 <= day <= _DAYS[month - 1] and hours <= 23):
            return None
        latest = time.gmtime(self._horizon + self._offset(self._horizon)).tm_year
        for year in range(latest, latest - _YEARS_BACK - 1, -1):
            naive = timegm((year, month, day, hours, 0, 0))
            if time.gmtime(naive).tm_mday == day and self._readings(naive + seconds)[0] <= self._horizon:
                return naive
        return None

    def _iso(self, stamp: bytes) -> Instant | None:
        try:
            read = datetime.fromisoformat(stamp.decode("ascii"))
            if read.tzinfo is not None:
                return read.timestamp()
            return self._choose(read.replace(tzinfo=UTC).timestamp())
        except (ValueError, OverflowError, OSError):  # no such date, or one beyond what clocks can say
            return None

    def _choose(self, naive: float) -> Instant:
        """Which of its readings a local time (as seconds of a day that had no zone) means."""
        readings = self._readings(naive)
        at = readings[0]
        for earlier, later in pairwise(readings):
            behind = self.last is not None and self.last - at > (later - earlier) / 2
            if later <= self._now or (behind and later <= self._now + SLACK):
                at = later
        self.last = at
        return at

    def _readings(self, naive: float) -> tuple[Instant, ...]:
        """The instants at which local clocks showed this, in order; of a time that they skipped, the earliest guess."""
        before, after = self._offset(naive - _DAY), self._offset(naive + _DAY)
        if before == after:
            return (naive - before,)
        found = {naive - offset for offset in (before, after) if self._offset(naive - offset) == offset}
        return tuple(sorted(found)) or (naive - max(before, after),)

    def _offset(self, at: Instant) -> float:
        """How far local clocks were ahead of UTC at that instant, in seconds."""
        if self._zone is None:
            return time.localtime(at).tm_gmtoff
        offset = datetime.fromtimestamp(at, self._zone).utcoffset()
        return 0.0 if offset is None else offset.total_seconds()

    def _remember(self, stamp: bytes, at: Instant) -> Instant:
        if len(self.seconds) >= _MOST:
            self.seconds.clear()
        self.seconds[stamp] = at
        return at
