"""What every service has around its protocol: listening, limits, and an end.

A peer is held to these limits; each way of breaking one is counted and logged, at most once a minute:

    crowded    more than `max_connections` at once, or no room: accepted and closed at once, so that it need not wait
    malformed  it broke the protocol (`too_long`, `unknown_map`: likewise)
    stalled    it sends, but completes no request within `PATIENCE`
    slow       it does not read its answers: no more of its requests are read; after `PATIENCE` it is dropped
    idle       no request for `idle` seconds: nothing wrong, but there is no end to such peers

Nothing that a peer sends is ever logged. Time is counted in ticks of one timer for all connections, so that a request
costs no timer of its own, and a loop that was held up does not drop peers for what was not their fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from poprelay.errors import ServiceError
from poprelay.services.listener import Door, adopt, bind
from poprelay.services.refusals import Refusals
from poprelay.services.room import is_full
from poprelay.wire import Bad

PATIENCE: Final = 10.0
"""Seconds for the rest of a request to come, and for a peer to read what it asked for."""
FAREWELL: Final = 2.0
"""Seconds for the last answers to be read when a service stops."""
_TICK: Final = 1.0
_PIECE: Final = 16_384
"""Bytes read at once from one peer: bounds how far answers run ahead of their reader."""
_TURN: Final = 131_072
"""Bytes read at once from all of them, shared evenly: bounds how long they keep the loop busy. A thousand peers who ask
as fast as they can are answered in one turn, and what has ended must be gone from the maps within a second."""
_LEAST: Final = 128
"""Bytes that one peer may send at once, however many there are."""
_BACKLOG: Final = 256
"""Peers that may wait to be accepted."""
_AT_ONCE: Final = 32
"""Peers accepted in one turn of the loop. It takes a few turns until those that are turned away have left."""


class Dialogue(Protocol):
    """One peer's side of a protocol. `refused` says why it is to be closed once the reply is out; None: it is not.
    `finished`: it is to be closed then, for all has been said."""

    refused: Bad | None
    finished: bool

    def receive(self, data: bytes) -> bytes:
        """The replies to the requests that `data` completes; nothing if it completes none."""
        ...


class Server:
    """The listening sockets of one service, and everyone who came in."""

    def __init__(self, service: str, door: Door, dialogue: Callable[[], Dialogue], *, tick: float = _TICK) -> None:
        self._door = door
        self._dialogue = dialogue
        self._tick = tick
        self._servers: list[asyncio.Server] = []
        self._made: tuple[Path, os.stat_result] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()
        self._refusals = Refusals(service)
        self.connections: set[Connection] = set()
        self.ticks = 0
        self.buffer = self._buffer = memoryview(bytearray(_PIECE))

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen on `sockets`, or else at the door. Raises ServiceError."""
        loop = asyncio.get_running_loop()
        unix = self._door.listen.unix
        listening: list[socket.socket] = []
        try:
            if sockets:
                listening.extend(map(adopt, sockets))
            else:
                listening.append(bind(self._door.listen, mode=self._door.mode, group=self._door.group))
                self._made = None if unix is None else (unix, unix.lstat())
            for sock in listening:
                self._servers.append(await loop.create_server(lambda: Connection(self), sock=sock, backlog=_AT_ONCE))
                sock.listen(_BACKLOG)  # asyncio has one number for both
        except (OSError, ServiceError) as error:
            await self.stop()
            for sock in listening:
                sock.close()
            if isinstance(error, ServiceError):
                raise
            raise ServiceError(f"cannot listen on {self._door.listen}: {error.strerror or error}") from error
        self._timer = loop.call_later(self._tick, self._look)

    async def stop(self) -> None:
        """Stop listening, answer what has come, close everyone, and remove the unix socket that `start` made."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._remove()
        await asyncio.sleep(0)  # one turn of the loop finds what has come,
        await asyncio.sleep(0)  # the next has answered it
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self.connections):
            connection.close()
        if self.connections:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._empty.wait()
        for connection in list(self.connections):
            connection.drop()

    def counts(self) -> dict[str, int]:
        """Refused peers by reason, and open connections."""
        return {**self._refusals.counts(), "connections": len(self.connections)}

    def crowding(self) -> str:
        """Why some of those who came lately were turned away for want of room; '' if none was."""
        return self._refusals.crowding()

    def dialogue(self) -> Dialogue:
        """What a new peer talks to."""
        return self._dialogue()

    def admit(self, connection: Connection, descriptor: int) -> bool:
        """Whether one more may come in."""
        if is_full(descriptor):
            self.refuse("crowded", "too many open files for one more; raise LimitNOFILE, or lower max_connections")
            return False
        if len(self.connections) >= self._door.max_connections:
            self.refuse("crowded", f"more than {self._door.max_connections} connections")
            return False
        self.connections.add(connection)
        self._share()
        return True

    def leave(self, connection: Connection) -> None:
        """The connection is closed."""
        self.connections.discard(connection)
        self._share()
        if not self.connections:
            self._empty.set()

    def refuse(self, word: str, why: str) -> None:
        """Count and log that a peer was closed for a reason."""
        self._refusals.note(word, why)

    def _share(self) -> None:
        self.buffer = self._buffer[: max(_LEAST, _TURN // max(1, len(self.connections)))]

    def _look(self) -> None:
        self.ticks += 1
        idle = self._door.idle / self._tick
        patience = PATIENCE / self._tick
        for connection in list(self.connections):
            connection.look(self.ticks, idle, patience)
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._look)

    def _remove(self) -> None:
        """Remove our socket's file, unless it is somebody else's by now."""
        if self._made is None:
            return
        path, ours = self._made
        self._made = None
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), ours):
                path.unlink()


class Connection(asyncio.BufferedProtocol):
    """One peer. All share one buffer, for what is in it is used up before the next read."""

    __slots__ = ("_begun", "_dialogue", "_seen", "_server", "_stuck", "_transport")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._dialogue = server.dialogue()
        self._transport: asyncio.Transport
        self._seen = server.ticks
        self._begun: int | None = None
        self._stuck: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.admit(self, transport.get_extra_info("socket").fileno()):
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        dialogue = self._dialogue
        reply = dialogue.receive(self._server.buffer[:nbytes].tobytes())
        self._seen = self._server.ticks
        if reply:
            self._transport.write(reply)
            self._begun = None
        elif self._begun is None:
            self._begun = self._seen
        if dialogue.refused is not None:
            self._server.refuse(dialogue.refused.word, dialogue.refused.why)
            self.close()
        elif dialogue.finished:
            self.close()

    def pause_writing(self) -> None:
        self._stuck = self._server.ticks
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stuck = None
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.leave(self)

    def look(self, tick: int, idle: float, patience: float) -> None:
        """Close the peer if it has used up its time at `tick`; `idle` and `patience` are in ticks."""
        if self._stuck is not None:
            if tick - self._stuck > patience:
                if not self._transport.is_closing():
                    self._server.refuse("slow", "it does not read its answers")
                self.drop()
        elif self._begun is not None:
            if tick - self._begun > patience:
                self._server.refuse("stalled", "it began a request and did not complete it")
                self.drop()
        elif tick - self._seen > idle:
            self._server.refuse("idle", "no request for a long time")
            self.drop()

    def close(self) -> None:
        """Let what was answered go out, then close. A peer that does not read it is dropped like any slow one."""
        if self._stuck is None:
            self._stuck = self._server.ticks
        self._transport.close()

    def drop(self) -> None:
        """Close at once."""
        self._transport.abort()
