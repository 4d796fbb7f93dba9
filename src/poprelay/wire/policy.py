r"""The policy delegation protocol, by which Postfix asks what to do with a request (SMTPD_POLICY_README, access(5)).

PROTOCOL
    The client sends one request and reads one reply, as often as it likes on one connection. 'In case of trouble the
    policy server must not send a reply': it logs and closes; Postfix asks once more after a second, then says 451.

REQUEST
    Lines `name=value`, then an empty line. Lines end in a newline alone. Names may come in any order. `request` must be
    `smtpd_access_policy`, and `client_address` must be there; `protocol_state` says the stage of SMTP.

REPLY
    `action=<word> <text>`, then an empty line. We know three, and no text of theirs comes from a request:
    `OK`                permits here and now: the address has a live grant
    `DUNNO`             no opinion: the restrictions that follow decide
    `DEFER_IF_REJECT`   cannot tell: what the following restrictions accept (mail for local domains) is accepted; what
                        they reject (relaying) gets 450 instead of 554, and the client tries again

LIMITS
    A line has at most 8,192 bytes, a request 65,536 in all. Postfix sends about 30 lines, 700 bytes.

SECURITY
    An empty action (`action=` and nothing, or a space) PERMITS, and so do digits: Postfix would be an open relay. So a
    reply is made from an `Action` and nothing else. Of the three names above, one that is sent twice is refused: which
    of the two counts would be the sender's choice. What else is sent is kept as it came, for who may want to read it.

>>> engine = Policy()
>>> engine.feed(b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_addr")
[]
>>> [request] = engine.feed(b"ess=192.0.2.7\n\n")
>>> request.client_address, request.state, request.attributes["request"]
('192.0.2.7', 'RCPT', 'smtpd_access_policy')
>>> engine.feed(b"request=smtpd_access_policy\n\n")
[Bad(word='malformed', why='no client_address')]
>>> reply(Action.OK), reply(Action.DUNNO)
(b'action=OK\n\n', b'action=DUNNO\n\n')
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from poprelay.wire import Bad

LIMIT: Final = 65_536
"""Bytes of the longest request."""
LINE: Final = 8192
"""Bytes of its longest line."""


class Action(Enum):
    """All that is ever said to Postfix; see REPLY above."""

    OK = "OK"
    DUNNO = "DUNNO"
    DEFER_IF_REJECT = "DEFER_IF_REJECT 4.3.0 Service temporarily unavailable, please try again"


class Delegated(msgspec.Struct, frozen=True, gc=False):
    """One question: at which stage of SMTP, for which client, and all the lines that Postfix sent.

    Bytes that are not UTF-8 stand in text by surrogateescape.
    """

    state: str
    client_address: str
    lines: bytes

    @property
    def attributes(self) -> dict[str, str]:
        """Every attribute, read when asked for. A line without `=` is none; the first of a name counts."""
        found: dict[str, str] = {}
        for line in self.lines.decode("utf-8", "surrogateescape").split("\n"):
            name, equals, value = line.partition("=")
            if equals:
                found.setdefault(name, value)
        return found


Request: TypeAlias = Delegated | Bad


class Policy:
    """Turns what a client sends into requests."""

    __slots__ = ("_broken", "_limit", "_rest")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = b""
        self._broken = False

    def feed(self, data: bytes) -> list[Request]:
        """The requests that `data` completes; a `Bad` is the last thing that an engine ever yields."""
        if self._broken:
            return []
        look = max(len(self._rest) - 1, 0)
        data = self._rest + data
        requests: list[Request] = []
        at = 0
        while (stop := at if data.startswith(b"\n", at) else data.find(b"\n\n", look)) >= 0:
            request = self._read(data[at:stop])
            requests.append(request)
            if isinstance(request, Bad):
                return self._end(requests)
            at = look = stop + 2
        if len(data) - at > self._limit + 1:
            return self._end([*requests, self._too_long()])
        self._rest = data[at:]
        return requests

    def _end(self, requests: list[Request]) -> list[Request]:
        self._broken = True
        self._rest = b""
        return requests

    def _read(self, lines: bytes) -> Request:
        if len(lines) > self._limit:
            return self._too_long()
        if len(lines) > LINE and max(map(len, lines.split(b"\n"))) > LINE:
            return Bad("too_long", f"a line longer than {LINE} bytes")
        read = _READ.findall(b"\n" + lines)
        values = dict(read)
        if len(values) != len(read):
            return Bad("malformed", "an attribute was sent twice")
        if values.get(b"request") != b"smtpd_access_policy":
            return Bad("malformed", "not an smtpd_access_policy request")
        address = values.get(b"client_address")
        if address is None:
            return Bad("malformed", "no client_address")
        return Delegated(_text(values.get(b"protocol_state", b"")), _text(address), lines)

    def _too_long(self) -> Bad:
        return Bad("too_long", f"longer than {self._limit} bytes")


_READ: Final = re.compile(rb"\n(request|client_address|protocol_state)=([^\n]*)")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


_REPLIES = {action: f"action={action.value}\n\n".encode("ascii") for action in Action}


def reply(action: Action) -> bytes:
    """The bytes that say `action`; anything else raises KeyError, for an empty action would permit."""
    return _REPLIES[action]
