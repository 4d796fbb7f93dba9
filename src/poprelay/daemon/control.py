"""The control socket: one JSON object per line, a thin door onto the operations.

Request:   {"operation": "list", "arguments": {"user": "ann"}}
Reply:     {"row": {...}} for each row, then {"exit": 0}; or {"error": "one sentence", "exit": 77}
Limits:    one request a connection, 64 KiB, sent within 10 seconds; each row taken within 30; 64 connections at a time,
           16 of one user; those who may write have their own 64
           Who breaks one is counted and logged, at most once a minute for each reason: crowded, stalled (no request in
           time), slow (rows not taken in time), malformed
           The asking side may close its sending half; only a `watch` takes that as its end
Security:  whoever may open the socket may read; only root, the daemon's own user and the listed users may write, judged
           by the kernel's word on the peer (SO_PEERCRED, unix(7)), and where there is none, nobody
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Collection
from contextlib import aclosing, suppress

import structlog

from poprelay.daemon.operations import OPERATIONS, House
from poprelay.daemon.peers import peer_uid, user_name
from poprelay.daemon.rows import Row
from poprelay.errors import NotPermitted, PoprelayError
from poprelay.services.refusals import Refusals

log = structlog.get_logger()

LONGEST_REQUEST = 64 * 1024
REQUEST_WITHIN = 10.0
ROW_TAKEN_WITHIN = 30.0
MOST_CONNECTIONS = 64
MOST_OF_ONE = 16


class ControlServer:
    """Listens for commands, and carries them out on a house."""

    def __init__(self, house: House, writers: Collection[str]) -> None:
        self._house = house
        self._writers = frozenset(writers)
        self._server: asyncio.Server | None = None
        self._refusals = Refusals("control")
        self._open: dict[asyncio.Task[None], tuple[str, bool]] = {}
        """Who asks, and whether they may write."""

    async def start(self, sock: socket.socket) -> None:
        """Answer on a listening unix socket."""
        # not by start_unix_server: since Python 3.13 that removes the socket at the end, which may be systemd's
        self._server = await asyncio.start_server(self._meet, sock=sock, limit=LONGEST_REQUEST)

    async def stop(self) -> None:
        """Stop listening, and end the connections that are open (a `watch` would never end by itself)."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def counts(self) -> dict[str, int]:
        """Refused peers by reason, and open connections."""
        return {**self._refusals.counts(), "connections": len(self._open)}

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = who = self._peer(writer)
        try:
            if self._is_crowded(*who):
                self._refusals.note("crowded", "too many commands at once")
                await _send(writer, {"error": "too many commands at once; ask again", "exit": 1})
            else:
                await self._answer(reader, writer)
        except TimeoutError:
            self._refusals.note("slow", f"it did not take its answer within {ROW_TAKEN_WITHIN:g} seconds")
        except (OSError, asyncio.CancelledError):
            log.debug("command went away")
        finally:
            del self._open[task]
            writer.close()

    def _is_crowded(self, by: str, may_write: bool) -> bool:
        """Whether this is one too many: nobody who may only read can keep others from writing."""
        alike = [name for name, writes in self._open.values() if writes == may_write]
        return len(alike) > MOST_CONNECTIONS or (not may_write and alike.count(by) > MOST_OF_ONE)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_WITHIN):
                line = await reader.readline()
            if not line:
                return
            name, arguments = _request(line)
        except TimeoutError:
            await self._refuse(writer, "stalled", f"no request within {REQUEST_WITHIN:g} seconds")
            return
        except (ValueError, RecursionError):
            await self._refuse(writer, "malformed", "the request is not one JSON object in one line of at most 64 KiB")
            return
        try:
            await self._carry_out(name, arguments, reader, writer)
        except PoprelayError as error:
            await _send(writer, {"error": str(error), "exit": error.exit_code})
        except OSError:
            raise
        except Exception as error:
            log.exception("command broke", operation=name)
            await _send(writer, {"error": f"a bug of ours: {error!r}; the daemon's log has more", "exit": 70})

    async def _refuse(self, writer: asyncio.StreamWriter, word: str, why: str) -> None:
        self._refusals.note(word, why)
        await _send(writer, {"error": why, "exit": 2})

    async def _carry_out(
        self, name: str, arguments: Row, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        by, may_write = self._peer(writer)
        operation = OPERATIONS.get(name)
        if operation is None:
            raise PoprelayError(f"no operation {name!r}", remedy=f"there are {', '.join(OPERATIONS)}")
        if operation.writes and not may_write:
            raise NotPermitted(f"{by} may not {name}", remedy="ask as root, or list the user in [control] writers")
        ends_with_peer = None
        if operation.endless:
            ends_with_peer = asyncio.create_task(_end_with_peer(reader, asyncio.current_task()))
        exit_code = 0
        try:
            async with aclosing(operation.run(self._house, by, arguments)) as rows:
                async for row in rows:
                    exit_code = row.pop("exit", exit_code)
                    if row:
                        await _send(writer, {"row": row})
        finally:
            if ends_with_peer is not None:
                ends_with_peer.cancel()
        await _send(writer, {"exit": exit_code})

    def _peer(self, writer: asyncio.StreamWriter) -> tuple[str, bool]:
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid is None:
            return "an unknown user", False
        name = user_name(uid)
        return name, uid in {0, os.geteuid()} or name in self._writers


async def _end_with_peer(reader: asyncio.StreamReader, answering: asyncio.Task[None] | None) -> None:
    """Whoever asked has gone: a `watch` would otherwise wait for the next change."""
    with suppress(OSError):
        while await reader.read(4096):
            pass
    if answering is not None:
        answering.cancel()


def _request(line: bytes) -> tuple[str, Row]:
    message = json.loads(line)
    if not isinstance(message, dict) or not isinstance(message.get("operation"), str):
        raise ValueError(line)
    arguments = message.get("arguments", {})
    if not isinstance(arguments, dict):
        raise ValueError(line)
    return message["operation"], arguments


async def _send(writer: asyncio.StreamWriter, message: Row) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    async with asyncio.timeout(ROW_TAKEN_WITHIN):
        await writer.drain()
