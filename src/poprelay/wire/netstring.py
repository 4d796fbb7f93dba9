r"""Netstrings: a length in decimal, a colon, that many bytes, a comma (D. J. Bernstein, cr.yp.to/proto/netstrings.txt).

LIMITS
    A string longer than `limit` bytes is refused as soon as its length is read, before its bytes are kept. What is kept
    of an unfinished string never exceeds `limit` and its header.

SECURITY
    Leading zeros, signs, spaces and anything but a comma at the end are refused: one string has one spelling.

>>> strings = Netstrings(limit=100)
>>> strings.feed(b"5:hello,0:,3:ab")
[b'hello', b'']
>>> strings.feed(b"c,")
[b'abc']
>>> strings.feed(b"101:"), strings.feed(b"5:hello,")
([Bad(word='too_long', why='longer than 100 bytes')], [])
>>> encode(b"hello")
b'5:hello,'
"""

from __future__ import annotations

from poprelay.wire import Bad


def encode(payload: bytes) -> bytes:
    """`payload` as one netstring."""
    return b"%d:%b," % (len(payload), payload)


class Netstrings:
    """Cuts a stream of bytes into the payloads of its netstrings."""

    __slots__ = ("_broken", "_digits", "_limit", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._digits = len(str(limit))
        self._rest = b""
        self._broken = False

    def feed(self, data: bytes) -> list[bytes | Bad]:
        """The payloads that `data` completes; after a `Bad`, which is the last, always nothing."""
        if self._broken:
            return []
        if self._rest:
            data = self._rest + data
        found: list[bytes | Bad] = []
        at, end = 0, len(data)
        while at < end:
            colon = data.find(b":", at, at + self._digits + 1)
            header = data[at : colon if colon >= 0 else at + self._digits + 1]
            if not header.isdigit() or (header[0] == _ZERO and len(header) > 1):
                return self._refuse(found, "malformed", "not a netstring: no length")
            if len(header) > self._digits or (colon >= 0 and int(header) > self._limit):
                return self._refuse(found, "too_long", f"longer than {self._limit} bytes")
            if colon < 0:
                break
            start = colon + 1
            stop = start + int(header)
            if stop >= end:
                break
            if data[stop] != _COMMA:
                return self._refuse(found, "malformed", "not a netstring: no comma at its end")
            found.append(data[start:stop])
            at = stop + 1
        self._rest = data[at:] if at else data
        return found

    def _refuse(self, found: list[bytes | Bad], word: str, why: str) -> list[bytes | Bad]:
        self._broken = True
        self._rest = b""
        return [*found, Bad(word, why)]


_ZERO, _COMMA = b"0,"
