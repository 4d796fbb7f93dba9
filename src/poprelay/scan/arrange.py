"""Needles as the search likes them best: beginning rarely, and in an order that keeps unlike ones apart.

The search (Teddy, within `ahocorasick_rs`) compares four bytes at a time with the beginnings of all needles, in sixteen
buckets, by the halves of each byte; a bucket that holds unlike needles takes much for one of them. The needle with
number n goes to bucket n modulo sixteen, so that the order chooses the bucket. Which lines are found does not depend on
any of this; how fast, by up to half.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

from poprelay.scan.ordinary import LINES, common

_BUCKETS: Final = 16
_LOOK: Final = 4  # bytes of a needle that are compared first
_KEEP: Final = 8  # bytes that a needle keeps at least, so as to be found where it is meant

_COUNTS: Final = Counter(b"".join(LINES))
_OFTEN: Final = tuple((_COUNTS[byte] + 0.3) / sum(_COUNTS.values()) for byte in range(256))  # how often a byte is there


def trimmed(text: bytes) -> bytes:
    """The needle without a beginning that much else begins with: it is found wherever the whole one is.

    >>> trimmed(b"-login: Logged in: "), trimmed(b"R=OK")
    (b'Logged in: ', b'R=OK')
    """
    starts = range(max(1, len(text) - _KEEP + 1))
    best = min(starts, key=lambda start: (math.prod(_OFTEN[byte] for byte in text[start : start + _LOOK]), start))
    return text if common([text[best:]]) else text[best:]


def arranged(texts: Iterable[bytes]) -> tuple[bytes, ...]:
    """The same in an order that the search likes."""
    distinct = sorted(dict.fromkeys(texts), key=lambda text: (-math.prod(_OFTEN[byte] for byte in text[:_LOOK]), text))
    room = -(-len(distinct) // _BUCKETS)
    buckets: list[list[bytes]] = [[] for _ in range(min(_BUCKETS, len(distinct)))]
    for text in distinct:
        open_ones = [bucket for bucket in buckets if len(bucket) < room]
        min(open_ones, key=lambda bucket: _taken([*bucket, text]) - _taken(bucket)).append(text)
    buckets.sort(key=len, reverse=True)
    return tuple(bucket[row] for row in range(room) for bucket in buckets if row < len(bucket))


def _taken(bucket: list[bytes]) -> float:
    """How often ordinary text looks like one of these at first."""
    if not bucket:
        return 0.0
    share = 1.0
    for place in range(_LOOK):
        upper = {text[place] >> 4 for text in bucket if len(text) > place}
        lower = {text[place] & 15 for text in bucket if len(text) > place}
        share *= sum(_OFTEN[high * 16 + low] for high in upper for low in lower)
    return share
