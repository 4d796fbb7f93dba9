"""The service for `check_client_access socketmap:unix:poprelay/socketmap:relay` in Postfix.

A live grant is `OK <value>`, none is `NOTFOUND`, and 'cannot tell' is `TEMP`, which Postfix turns into 451. Any map
name is answered unless the config names one: then another name is `PERM`, so that a slip in main.cf shows at once.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Self

from poprelay.config.section import Section
from poprelay.model import Absent, Allowed, Unavailable
from poprelay.services import Find
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.server import Server
from poprelay.wire import Bad
from poprelay.wire.socketmap import NOT_FOUND, Query, Socketmap, found, permanent, sendable, temporary


class SocketmapService:
    """Answers socketmap queries about addresses."""

    def __init__(self, door: Door, *, map: str = "", value: str = "OK") -> None:  # noqa: A002 - the config's own word
        self.name = f"socketmap {door.listen}"
        self._door = door
        self._map = map
        self._value = value
        self._asking: Asking | None = None
        self._server: Server | None = None

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Reads `listen mode group max_connections idle`, `map` (any) and `value` (OK)."""
        door = Door.from_section(section)
        name = section.text("map", "")
        if " " in name or not name.isascii() or (name and not name.isprintable()):
            section.refuse("map", "a map's name is printable ASCII without a space", 'use the one in main.cf: "relay"')
        value = section.text("value", "OK")
        if value and not sendable(value):
            section.refuse("value", "a value is 1 to 1,000 printable ASCII characters", 'Postfix wants value = "OK"')
        return cls(door, map=name, value=value)

    async def start(self, find: Find, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen and answer. Raises ServiceError."""
        asking = Asking(self.name, find)
        ok = found(self._value)
        server = Server(self.name, self._door, lambda: SocketmapDialogue(asking, self._map, ok))
        await server.start(sockets)
        self._asking, self._server = asking, server

    async def stop(self) -> None:
        """Stop listening, answer what has come, close, and remove the unix socket."""
        if self._server is not None:
            await self._server.stop()

    def counts(self) -> dict[str, int]:
        """Answers by outcome, refused peers by reason, open connections."""
        if self._asking is None or self._server is None:
            return {}
        return {**self._asking.tally.counts(), **self._server.counts()}


class SocketmapDialogue:
    """What one peer asks and is told."""

    __slots__ = ("_asking", "_engine", "_map", "_ok", "refused")

    def __init__(self, asking: Asking, map: str, ok: bytes) -> None:  # noqa: A002 - the protocol's own word
        self._asking = asking
        self._map = map
        self._ok = ok
        self._engine = Socketmap()
        self.refused: Bad | None = None

    def receive(self, data: bytes) -> bytes:
        """The replies to the requests that `data` completes; nothing any more once the peer was refused."""
        replies: list[bytes] = []
        for request in self._engine.feed(data):
            if self.refused is not None:
                break
            replies.append(self._answer(request))
        return b"".join(replies)

    def _answer(self, request: Query | Bad) -> bytes:
        if isinstance(request, Bad):
            self.refused = request
            return permanent(request.why)
        if self._map and request.map != self._map:
            self.refused = Bad("unknown_map", "no such map")
            return permanent(self.refused.why)
        match self._asking.outcome(request.key):
            case Allowed():
                self._asking.tally.add("found")
                return self._ok
            case Absent():
                self._asking.tally.add("absent")
                return NOT_FOUND
            case Unavailable(why):
                self._asking.tally.add("unavailable")
                return temporary(why)
