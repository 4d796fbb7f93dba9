r"""The protocol of Postfix's `tcp:` tables (tcp_table(5)).

PROTOCOL
    Lines that end in a newline; `%XX` stands for the byte of that number, so that no line holds a blank of its own.

REQUEST
    `get <space> <key>`

REPLY
    `200 <space> <value>`    found
    `500 <space> <reason>`   absent
    `400 <space> <reason>`   cannot tell, or a request that cannot be read: Postfix defers the mail with 451

LIMITS
    A line is at most 4,096 bytes, as in Postfix.

SECURITY
    Where nobody listens, smtpd tries ten times and sleeps a second after each: nine seconds for every client. The
    socketmap does the same job without that.

>>> engine = TcpTable()
>>> engine.feed(b"get 192.0.2.7\nget 2001%3Adb8"), engine.feed(b"::7\n"), engine.feed(b"put a b\n")
(['192.0.2.7'], ['2001:db8::7'], [Bad(word='malformed', why='not a get')])
"""

from __future__ import annotations

import re
from typing import Final

from poprelay.wire import Bad

LIMIT: Final = 4096
"""Bytes of a line, its newline counted."""

_TOO_LONG: Final = Bad("too_long", f"a line of more than {LIMIT} bytes")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_BROKEN: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")
_PLAIN: Final = re.compile(r"[^!-$&-~]")


class TcpTable:
    """Turns what a client sends into keys."""

    __slots__ = ("_broken", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._broken = False

    def feed(self, data: bytes) -> list[str | Bad]:
        """The keys that `data` completes; a `Bad` is the last thing that an engine ever yields."""
        found: list[str | Bad] = []
        if self._broken:
            return found
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            found.append(_read(line))
            if isinstance(found[-1], Bad):
                break
        else:
            if len(self._rest) < LIMIT:
                return found
            found.append(_TOO_LONG)
        self._broken, self._rest = True, b""
        return found


def _read(line: bytes) -> str | Bad:
    if len(line) >= LIMIT:
        return _TOO_LONG
    word, space, key = line.partition(b" ")
    if word != b"get" or not space:
        return Bad("malformed", "not a get")
    if _BROKEN.search(key):
        return Bad("malformed", "a broken escape")
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), key).decode("ascii", "surrogateescape")


def reply(code: int, text: str) -> bytes:
    """The reply of that code and the first 60 characters of its text, as one line."""
    return f"{code} {_PLAIN.sub(lambda found: _escaped(found[0]), text[:60])}\n".encode("ascii")


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
