r"""One line in, one word out, and the connection is closed: for Exim's `${readsocket` (Exim specification, 11.5).

PROTOCOL
    The client sends the address and a newline, reads what comes until the connection is closed, and uses that.

REPLY
    `yes`           found
    `no`            absent; also for anything that is not one full address
    `unavailable`   cannot tell: the ACL must defer, as it must where there is no connection

LIMITS
    A line is at most `LIMIT` bytes. What follows the first line is not read.

>>> engine = ReadSocket()
>>> engine.feed(b"192.0."), engine.feed(b"2.7\nmore"), engine.feed(b"\n")
([], ['192.0.2.7'], [])
"""

from __future__ import annotations

from typing import Final

from poprelay.wire import Bad

LIMIT: Final = 255
"""Bytes of a line, its newline not counted."""

YES: Final = b"yes"
NO: Final = b"no"
UNAVAILABLE: Final = b"unavailable"


class ReadSocket:
    """Reads one client's one line."""

    __slots__ = ("_done", "_line")

    def __init__(self) -> None:
        self._line = b""
        self._done = False

    def feed(self, data: bytes) -> list[str | Bad]:
        """The key, once, when its line is whole; or a `Bad`, and then nothing more."""
        if self._done:
            return []
        line, newline, _ = (self._line + data).partition(b"\n")
        if len(line) > LIMIT:
            self._done, self._line = True, b""
            return [Bad("too_long", f"a line of more than {LIMIT} bytes")]
        if not newline:
            self._line = line
            return []
        self._done, self._line = True, b""
        return [line.removesuffix(b"\r").decode("ascii", "surrogateescape")]
