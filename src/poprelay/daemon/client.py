"""Asks a running daemon over its control socket: the commands' side of `control.py`. Blocking, and quick to import."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poprelay.errors import DaemonBroke, NoDaemon, NotPermitted, PoprelayError, Refused

START = "start it: systemctl start poprelay (without systemd: poprelayd -c FILE.toml start)"
"""The next step where no daemon runs."""
ANSWER_WITHIN = 30.0
"""Seconds to wait for the next row of an answer; `watch` waits for ever."""

_ERRORS: dict[int, type[PoprelayError]] = {
    kind.exit_code: kind for kind in (Refused, NotPermitted, NoDaemon, DaemonBroke)
}


class Answer:
    """The rows of one answer, as they come; `exit_code` is known once they have been read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.exit_code = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._connection:
            for line in self._lines():
                message = json.loads(line)
                if "row" in message:
                    yield message["row"]
                    continue
                self.exit_code = message["exit"]
                if "error" in message:
                    raise _ERRORS.get(self.exit_code, PoprelayError)(message["error"])
                return
        raise _gone()

    def _lines(self) -> Iterator[bytes]:
        with self._connection.makefile("rb") as lines:
            while True:
                try:
                    line = lines.readline()
                except TimeoutError:
                    raise NoDaemon("the daemon does not answer", remedy="see its log") from None
                except OSError:
                    return
                if not line.endswith(b"\n"):
                    return
                yield line


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
        raise NoDaemon(f"no daemon answers at {path}", remedy=START) from None
    return connection


def ask(
    connection: socket.socket, operation: str, arguments: dict[str, Any], *, wait: float | None = ANSWER_WITHIN
) -> Answer:
    """Send one request over `connection`, which is used up by it."""
    connection.settimeout(wait)
    try:
        connection.sendall(json.dumps({"operation": operation, "arguments": arguments}).encode() + b"\n")
    except TimeoutError:
        raise NoDaemon("the daemon does not answer", remedy="see its log") from None
    except OSError:
        pass  # it has hung up; why, stands in what it said before
    return Answer(connection)


def _gone() -> NoDaemon:
    return NoDaemon("the daemon went away before it had answered", remedy="ask again")
