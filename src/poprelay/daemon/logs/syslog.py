"""syslog(3) by its local socket: one datagram for each line, as the C library writes them (RFC 3164, 4.1).

The facility is `daemon`, not `mail`: what we say about logins must not end up in the log that we read logins from.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from typing import Final

from poprelay.clock import Clock
from poprelay.daemon.logs.logformat import PRIORITIES
from poprelay.errors import PoprelayError

PATHS: Final = ("/dev/log", "/var/run/syslog", "/var/run/log")
"""Where systems have it: Linux, macOS, BSD."""
PATIENCE: Final = 0.5
"""Seconds to wait for a syslog whose queue is full; after one vain wait no more, until it takes a line again."""

_DAEMON: Final = 3 << 3


class Syslog:
    """The local syslog. While that is gone or stuck, the lines go to standard error instead."""

    def __init__(self, path: str = "") -> None:
        """Raises PoprelayError if nobody listens at `path` (default: where systems have it)."""
        for each in (path,) if path else PATHS:
            self._path = each
            with contextlib.suppress(OSError):
                self._socket = self._connected()
                break
        else:
            raise PoprelayError(
                f"there is no syslog at {path or ', '.join(PATHS)}",
                remedy='start one, or write to = "stderr" in [log]',
            )
        self._patience = PATIENCE
        self._lock = threading.RLock()  # the collector may run within, and let asyncio complain
        self._clock = Clock()

    def write(self, level: str, text: str) -> None:
        """Send each line of the text."""
        priority = _DAEMON | PRIORITIES.get(level, PRIORITIES["info"])
        with self._lock:
            for line in text.split("\n"):
                stamp = time.strftime("%b %e %H:%M:%S", time.localtime(self._clock.now()))
                datagram = f"<{priority}>{stamp} poprelay[{os.getpid()}]: {line}".encode("utf-8", "backslashreplace")
                if not self._send(datagram):
                    with contextlib.suppress(OSError, ValueError, RuntimeError):
                        print(f"{line} (syslog at {self._path} does not take it)", file=sys.stderr)

    def close(self) -> None:
        self._socket.close()

    def _send(self, datagram: bytes) -> bool:
        """Whether the datagram was taken, at the first attempt or by a new connection."""
        for attempt in range(2):
            try:
                if attempt:
                    self._socket.close()
                    self._socket = self._connected()
                self._socket.settimeout(0.0)  # or Python waits for more room than a line needs
                try:
                    self._socket.send(datagram)
                except BlockingIOError:
                    if not self._patience:
                        return False
                    self._socket.settimeout(self._patience)
                    self._socket.send(datagram)
            except TimeoutError:
                self._patience = 0.0
                return False
            except OSError:
                continue
            self._patience = PATIENCE
            return True
        return False

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made
