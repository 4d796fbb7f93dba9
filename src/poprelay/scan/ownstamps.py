"""Stamps that syslog does not write: to a form that `poprelay.scan.stamps` reads, or to the instant itself.

| stamp | who writes it | becomes |
|---|---|---|
| `2026/11/23 12:36:49` | nginx's error_log | `2026-11-23 12:36:49`, local |
| `Apr 23 2003 16:26:11` | Apple's mail server | `2003-04-23 16:26:11`, local |
| `@400000004c91b044077a9e94` | multilog (TAI64N) | its instant |
| `Mon 2026-11-23 12:36:49 CET` | journalctl's short-full | `2026-11-23 12:36:49`, local |
| `Mon 2026-11-23 12:36:49 UTC` | the same, with --utc | `2026-11-23 12:36:49Z` |
| `1795436209.123456` | journalctl's short-unix | its instant |
"""

from __future__ import annotations

from typing import Final

from poprelay.model import Instant

_TIME: Final = rb"\d\d:\d\d:\d\d"
_MONTHS: Final = {
    name: b"%02d" % number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
OF_FILES: Final = (
    rb"\d{4}/\d\d/\d\d "
    + _TIME
    + rb"|(?:"
    + b"|".join(_MONTHS)
    + rb") [ \d]?\d \d{4} "
    + _TIME
    + rb"|@40000000[0-9a-f]{8}[0-3][0-9a-f]{7}"
)
"""Stamps in servers' own files, as an expression without groups."""

OF_JOURNALCTL: Final = (
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d\d-\d\d " + _TIME + rb"(?>\.\d{6}|) [A-Z]{3,5}|\d{9,10}\.\d{6}"
)
"""Stamps in `journalctl -o short-full` and `-o short-unix`, before host and program."""

_EPOCH: Final = (1 << 62) + 10
"""The TAI64 second that libtai writes for 1970-01-01 00:00:00 UTC. See https://cr.yp.to/libtai/tai64.html."""


def usual(stamp: bytes) -> bytes | Instant:
    """The time of a stamp that one of the expressions takes, in ISO form or as an instant; any other is left alone.

    >>> usual(b"2026/11/23 12:36:49"), usual(b"Apr  3 2003 16:26:11"), usual(b"@400000004c91b04400000000")
    (b'2026-11-23 12:36:49', b'2003-04-03 16:26:11', 1284616250.0)
    """
    if stamp[:1] == b"@":
        return (int(stamp[1:17], 16) - _EPOCH) + int(stamp[17:], 16) / 1e9
    if stamp[4:5] == b"/":
        return stamp.replace(b"/", b"-")
    if stamp[:9].isdigit():
        return float(stamp)
    match stamp.split():
        case month, day, year, clock if month in _MONTHS:
            return b"%s-%s-%s %s" % (year, _MONTHS[month], day.zfill(2), clock)
        case _, date, clock, zone:
            return b"%s %s%s" % (date, clock, b"Z" if zone in {b"UTC", b"GMT"} else b"")
    return stamp
