"""Times and spans as people and programs write them: RFC 3339, `30m`, `7d`."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from poprelay.model import Instant

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN: Final = re.compile(r"(\d{1,9})([smhd])", re.ASCII)


def parse_span(text: str) -> float | None:
    """Seconds of a span like `30s`, `30m`, `24h` or `7d`; None if it is not exactly one.

    >>> parse_span("30m"), parse_span("7d"), parse_span("30"), parse_span("1h30m")
    (1800.0, 604800.0, None, None)
    """
    match = _SPAN.fullmatch(text)
    return float(match[1]) * _UNITS[match[2]] if match else None


def show_span(seconds: float) -> str:
    """A span as short as people say it, in at most two units.

    >>> show_span(1800), show_span(5400), show_span(59.4), show_span(604800), show_span(0.2), show_span(math.inf)
    ('30m', '1h 30m', '59s', '7d', '0s', 'always')
    """
    if math.isinf(seconds):
        return "always"
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in reversed(_UNITS.items()):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "0s"


@lru_cache(4096)
def rfc3339(at: Instant | None) -> str | None:
    """An instant as RFC 3339 in UTC, with milliseconds; None for never and for always.

    >>> rfc3339(0.25), rfc3339(None), rfc3339(math.inf)
    ('1970-01-01T00:00:00.250Z', None, None)
    """
    if at is None or not math.isfinite(at):
        return None
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def parse_rfc3339(text: str) -> Instant:
    """The instant of an RFC 3339 time with a zone; ValueError if it is not one."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} names no zone")
    return at.timestamp()
