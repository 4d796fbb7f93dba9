"""What every service that answers questions about addresses has around its protocol."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import ClassVar

from poprelay.model import Absent, Allowed, Outcome
from poprelay.services import Find
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.server import Dialogue, Server
from poprelay.wire import Bad


class Answering:
    """A service at one door. A subclass says its kind, and what one peer's side of its protocol is."""

    kind: ClassVar[str]

    def __init__(self, door: Door) -> None:
        self.name = f"{self.kind} {door.listen}"
        self._door = door
        self._asking: Asking | None = None
        self._server: Server | None = None

    def dialogue(self, asking: Asking) -> Callable[[], Dialogue]:
        """Makes the side of each peer; all of them ask by `asking`."""
        raise NotImplementedError

    async def start(self, find: Find, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen and answer. Raises ServiceError."""
        asking = Asking(self.name, find)
        server = Server(self.name, self._door, self.dialogue(asking))
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

    def crowding(self) -> str:
        """Why some of those who came lately were turned away for want of room; '' if none was."""
        return "" if self._server is None else self._server.crowding()


class Replies:
    """One peer that sends keys and is told of each whether it is found."""

    __slots__ = ("_asking", "finished", "refused")

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.refused: Bad | None = None
        self.finished = False

    def told(self, key: str, found: bytes, absent: bytes, unavailable: Callable[[str], bytes]) -> bytes:
        """The reply about one key, counted; `unavailable` makes it of a reason."""
        outcome: Outcome = self._asking.outcome(key)
        if isinstance(outcome, Allowed):
            self._asking.tally.add("found")
            return found
        if isinstance(outcome, Absent):
            self._asking.tally.add("absent")
            return absent
        self._asking.tally.add("unavailable")
        return unavailable(outcome.why)
