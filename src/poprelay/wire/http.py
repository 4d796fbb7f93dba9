r"""Just enough of HTTP/1.1 (RFC 9112) to be asked for a page: GET and HEAD, no body, the connection stays open.

>>> engine = Http()
>>> engine.feed(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"), engine.feed(b"\r\n")
([], [Page(path='/metrics', head=False)])
>>> Http().feed(b"POST / HTTP/1.1\r\n\r\n")
[Bad(word='malformed', why='neither GET nor HEAD')]
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
    """Turns what a client sends into requests."""

    __slots__ = ("_broken", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._broken = False

    def feed(self, data: bytes) -> list[Request]:
        """The requests that `data` completes; a `Bad` is the last thing that an engine ever yields."""
        requests: list[Request] = []
        if self._broken:
            return requests
        self._rest += data
        while (end := _END.search(self._rest)) is not None and end.end() <= LIMIT:
            head, self._rest = self._rest[: end.end()], self._rest[end.end() :]
            requests.append(_read(head))
            if isinstance(requests[-1], Bad):
                return self._broke(requests)
        if len(self._rest) > LIMIT:
            requests.append(Bad("too_long", f"a head of more than {LIMIT} bytes"))
            return self._broke(requests)
        return requests

    def _broke(self, requests: list[Request]) -> list[Request]:
        self._broken, self._rest = True, b""
        return requests


def _read(head: bytes) -> Request:
    line = _LINE.match(head)
    if line is None:
        return Bad("malformed", "neither GET nor HEAD")
    if _BODY.search(head):
        return Bad("malformed", "a body where there is none")
    return Page(line[2].decode("ascii").partition("?")[0], line[1] == b"HEAD")


def reply(status: str, kind: str, body: bytes, *, head: bool = False) -> bytes:
    """The reply with that status (`200 OK`), of that content type."""
    top = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode("ascii")
    return top if head else top + body
