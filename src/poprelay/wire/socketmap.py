r"""The socketmap protocol, by which Postfix (socketmap_table(5)) and Sendmail ask for the value of a key.

PROTOCOL
    The client sends one request and reads one reply, as often as it likes on one connection. Each is one netstring.

REQUEST
    `<map> <space> <key>`. The map's name holds no space; the key is all the rest, and may be anything. Postfix asks for
    the client's name first (or the word `unknown`) and then for its full address; it asks for no part of either.

REPLY
    `OK <space> <value>`      found
    `NOTFOUND <space>`        absent
    `TEMP <space> <reason>`   cannot tell: Postfix defers the mail with 451 and logs the reason
    `PERM <space> <reason>`   the request is at fault: 451 as well; we close after it

LIMITS
    A request is at most `limit` bytes: Postfix never sends more than 10,000, and reads at most 100,000. It waits 100 s
    for an answer, closes after 10 s without a request and after 100 s in all, and asks once more where we closed.

SECURITY
    Neither side proves who it is: only the socket's permissions, or loopback, do. `OK` without a value, and with an
    empty one, are not sent: the first reads as absent in Postfix and crashes Sendmail, the second is an error. No reply
    repeats a byte of the request.

>>> engine = Socketmap(limit=10_000)
>>> engine.feed(b"15:relay 192.0.2.7,13:relay unk")
[Query(map='relay', key='192.0.2.7')]
>>> engine.feed(b"nown,"), engine.feed(b"5:relay,")
([Query(map='relay', key='unknown')], [Bad(word='malformed', why='no map and key')])
>>> found("OK"), NOT_FOUND, temporary("starting up"), permanent("no such map")
(b'5:OK OK,', b'9:NOTFOUND ,', b'16:TEMP starting up,', b'16:PERM no such map,')
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import msgspec

from poprelay.wire import Bad
from poprelay.wire.netstring import Netstrings, encode

LIMIT: Final = 10_000
"""Bytes of the longest request that Postfix sends."""

NOT_FOUND: Final = encode(b"NOTFOUND ")
"""The reply that the key is absent."""

_VALUE = re.compile(r"[!-~](?:[ -~]{0,998}[!-~])?")


class Query(msgspec.Struct, frozen=True, gc=False):
    """One question. Bytes that are not ASCII stand in the key by surrogateescape."""

    map: str
    key: str


Request: TypeAlias = Query | Bad


class Socketmap:
    """Turns what a client sends into queries."""

    __slots__ = ("_broken", "_strings")

    def __init__(self, limit: int = LIMIT) -> None:
        self._strings = Netstrings(limit)
        self._broken = False

    def feed(self, data: bytes) -> list[Request]:
        """The queries that `data` completes; a `Bad` is the last thing that an engine ever yields."""
        requests: list[Request] = []
        if self._broken:
            return requests
        for payload in self._strings.feed(data):
            request = payload if isinstance(payload, Bad) else _read(payload)
            requests.append(request)
            if isinstance(request, Bad):
                self._broken = True
                break
        return requests


def _read(payload: bytes) -> Request:
    name, space, key = payload.decode("ascii", "surrogateescape").partition(" ")
    return Query(name, key) if name and space else Bad("malformed", "no map and key")


def sendable(value: str) -> bool:
    """Whether `value` may stand behind `OK`: 1 to 1,000 printable ASCII characters, no space at either end."""
    return _VALUE.fullmatch(value) is not None


def found(value: str) -> bytes:
    """The reply that the key's value is `value`. Raises ValueError for one that must not be sent."""
    if not sendable(value):
        raise ValueError(f"{value!r} cannot be the value of a socketmap reply")
    return encode(b"OK " + value.encode("ascii"))


def temporary(reason: str) -> bytes:
    """The reply that we cannot tell, and why, in words of our own."""
    return encode(b"TEMP " + _printable(reason))


def permanent(reason: str) -> bytes:
    """The reply that the request is at fault, and why, in words of our own."""
    return encode(b"PERM " + _printable(reason))


def _printable(reason: str) -> bytes:
    return re.sub(r"[^ -~]", "?", reason[:200]).encode("ascii")
