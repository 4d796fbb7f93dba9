"""What systemd tells a service and wants to hear: readiness, the watchdog, sockets that it opened.

Sources: sd_notify(3), sd_listen_fds_with_names(3). Everything here does nothing when systemd
did not start us.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping

FIRST_FD = 3


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager, e.g. `READY=1`; False if nobody listens. Never raises: it must not hold the daemon."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect(address)
            sock.sendall("\n".join(lines).encode("utf-8", "replace"))
    except OSError:
        return False
    return True


def activated_sockets(environ: MutableMapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """The listening sockets that systemd opened for us, by where they listen, spelled as in the config.

    Taken once: the variables are removed, so that no child believes they are its own.

    >>> activated_sockets({})
    {}
    """
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    found: dict[str, list[socket.socket]] = {}
    if pid != str(os.getpid()) or not count.isdigit():
        return found
    for fd in range(FIRST_FD, FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        found.setdefault(listen_name(sock), []).append(sock)
    return found


def listen_name(sock: socket.socket) -> str:
    """Where a socket listens, spelled as `listen` in the config: `unix:/path`, `inet:127.0.0.1:10027`."""
    where = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(where)}"
    host = f"[{where[0]}]" if ":" in where[0] else where[0]
    return f"inet:{host}:{where[1]}"
