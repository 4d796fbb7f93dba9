r"""Just enough of HTTP/1.1 (RFC 9112) to be asked for a page: GET and HEAD, no body, one page a connection.

>>> engine = Http()
>>> engine.feed(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
>>> engine.feed(b"\r\nGET /another HTTP/1.1\r\n\r\n")
Page(path='/metrics', head=False)
>>> Http().feed(b"POST / HTTP/1.1\r\n\r\n")
Bad(word='malformed', why='neither GET nor HEAD')
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import msgspec

from poprelay.wire import Bad

LIMIT: Final = 8192
"""Bytes of a request's head."""

_END: Final = re.compile(rb"\r?\n\r?\n")
_LINE: Final = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.[01]\r?\n")
_BODY: Final = re.compile(rb"\n(?:content-length: *+(?!0 *+\r?\n)|transfer-encoding:)", re.IGNORECASE)


class Page(msgspec.Struct, frozen=True, gc=False):
    """What was asked for; `head`: only its header."""

    path: str
    head: bool


Request: TypeAlias = Page | Bad


class Http:
    """Turns what a client sends into its one request; what follows that is not read (RFC 9112, 9.6)."""

    __slots__ = ("_ended", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes) -> Request | None:
        """The request, if `data` completes it; an engine yields one, or one `Bad`, and then nothing more."""
        if self._ended:
            return None
        self._rest += data
        end = _END.search(self._rest, 0, LIMIT)
        if end is not None:
            return self._end(_read(self._rest[: end.end()]))
        if len(self._rest) > LIMIT:
            return self._end(Bad("too_long", f"a head of more than {LIMIT} bytes"))
        return None

    def _end(self, request: Request) -> Request:
        self._ended, self._rest = True, b""
        return request


def _read(head: bytes) -> Request:
    line = _LINE.match(head)
    if line is None:
        return Bad("malformed", "neither GET nor HEAD")
    if _BODY.search(head):
        return Bad("malformed", "a body where there is none")
    return Page(line[2].decode("ascii").partition("?")[0], line[1] == b"HEAD")


def reply(status: str, kind: str, body: bytes, *, head: bool = False) -> bytes:
    """The reply with that status (`200 OK`), of that content type; the connection is to be closed after it."""
    fields = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close"
    top = f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode("ascii")
    return top if head else top + body
