"""Asks a running daemon over its control socket: the commands' side of `control.py`. Blocking, and quick to import."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poprelay.errors import NoDaemon, NotPermitted, PoprelayError, Refused

ANSWER_WITHIN = 30.0
"""Seconds to wait for the next row of an answer; `watch` waits for ever."""

_ERRORS: dict[int, type[PoprelayError]] = {kind.exit_code: kind for kind in (PoprelayError, Refused, NotPermitted)}


class Answer:
    """The rows of one answer, as they come; `exit_code` is known once they have been read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.exit_code = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._connection, self._connection.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                if "row" in message:
                    yield message["row"]
                    continue
                self.exit_code = message["exit"]
                if "error" in message:
                    raise _ERRORS.get(self.exit_code, PoprelayError)(message["error"])
                return
        raise NoDaemon("the daemon went away before it had answered", remedy="ask again")


def connect(path: Path) -> socket.socket:
    """A connection to the daemon; raises NoDaemon if none listens there, NotPermitted if we may not ask."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except PermissionError:
        connection.close()
        raise NotPermitted(f"you may not use {path}", remedy="join the socket's group, or ask as root") from None
    except OSError:
        connection.close()
        raise NoDaemon(f"no daemon answers at {path}", remedy="start it with: poprelay run") from None
    return connection


def ask(
    connection: socket.socket, operation: str, arguments: dict[str, Any], *, wait: float | None = ANSWER_WITHIN
) -> Answer:
    """Send one request over `connection`, which is used up by it."""
    connection.settimeout(wait)
    connection.sendall(json.dumps({"operation": operation, "arguments": arguments}).encode() + b"\n")
    return Answer(connection)
