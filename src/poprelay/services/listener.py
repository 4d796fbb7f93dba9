"""Where a service listens, who may come in, and how a listening socket is made there.

A unix socket is bound, given its group and mode, and only then opened: nobody can come in before. The file of a daemon
that is gone is replaced; a socket that answers, and any file that is not a socket, is never removed.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Self

import msgspec

from poprelay.config.listen import LONGEST_SOCKET
from poprelay.config.section import Listen, Section
from poprelay.errors import ServiceError


class Door(msgspec.Struct, frozen=True):
    """Where a service listens, and what a peer may take: `max_connections`, and `idle` seconds without a request."""

    listen: Listen
    mode: int = 0o660
    group: str = ""
    max_connections: int = 1000
    idle: float = 120.0

    @classmethod
    def from_section(cls, section: Section, *, idle: float = 120.0) -> Self:
        """Reads `listen`, `mode` and `group` (of a unix socket), `max_connections`, `idle` (its default is given)."""
        listen = section.listen("listen")
        if listen.unix is None:
            if not loopback(listen.host):
                section.refuse(
                    "listen",
                    f"{listen.host} can be reached from other machines, and nobody who asks here is identified",
                    "listen on 127.0.0.1, [::1] or a unix socket",
                )
            for key in ("mode", "group"):
                if key in section.spec:
                    section.refuse(key, "only a unix socket has one", 'listen on "unix:/path", or leave it out')
        elif len(os.fsencode(listen.unix)) > LONGEST_SOCKET:
            section.refuse("listen", f"a unix socket's path has at most {LONGEST_SOCKET} bytes", "choose a shorter one")
        its = section.spec if listen.unix is None else ("mode", "group")
        return cls(
            listen,
            mode=section.mode("mode", 0o660) if "mode" in its else 0o660,
            group=section.text("group", "") if "group" in its else "",
            max_connections=section.integer("max_connections", 1000, low=1, high=100_000),
            idle=section.duration("idle", idle, low=1.0, high=86_400.0),
        )


def loopback(host: str) -> bool:
    """Whether `host` is an address that only this machine can reach."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def bind(listen: Listen, *, mode: int = 0o660, group: str = "") -> socket.socket:
    """A stream socket bound at `listen`, not yet listening. Raises ServiceError, which says what to do.

    `mode` and `group` are for a unix socket; without a group it keeps the one of whoever makes it.
    """
    return _bind_loopback(listen) if listen.unix is None else _bind_unix(listen.unix, mode, group)


def adopt(sock: socket.socket) -> socket.socket:
    """Our own handle on a socket that socket activation handed over; the caller keeps its one, for the next start.

    Raises ServiceError if it is not one that we may listen on.
    """
    if sock.type != socket.SOCK_STREAM:
        raise ServiceError("the socket handed over is no stream socket", remedy="use ListenStream= in its unit")
    if sock.family != socket.AF_UNIX and not loopback(str(sock.getsockname()[0])):
        raise ServiceError(
            f"the socket handed over listens on {sock.getsockname()[0]}, which other machines can reach",
            remedy="use 127.0.0.1, [::1] or a path in its unit",
        )
    ours = sock.dup()
    ours.setblocking(False)
    return ours


def _bind_loopback(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((listen.host, listen.port))
    except OSError as error:
        sock.close()
        raise ServiceError(
            f"cannot listen on {listen}: {error.strerror or error}",
            remedy="something else listens there; choose another port" if error.errno == errno.EADDRINUSE else "",
        ) from error
    sock.setblocking(False)
    return sock


def _bind_unix(path: Path, mode: int, group: str) -> socket.socket:
    _make_way(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise ServiceError(f"cannot listen on unix:{path}: {_why(error)}", remedy=_remedy(error, path)) from error
    try:
        if group:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        path.chmod(mode)
    except (KeyError, OSError) as error:
        sock.close()
        with contextlib.suppress(OSError):
            path.unlink()
        if isinstance(error, KeyError):
            raise ServiceError(f"cannot listen on unix:{path}: there is no group {group!r}") from error
        raise ServiceError(
            f"cannot set the group and mode of unix:{path}: {_why(error)}",
            remedy=f"make poprelay's user a member of {group!r}" if group else "",
        ) from error
    sock.setblocking(False)
    return sock


def _make_way(path: Path) -> None:
    """Remove the socket of a daemon that is gone; ServiceError if anything else is there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ServiceError(
                f"cannot listen on unix:{path}: a file that is not a socket is there", remedy="move it away"
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    except BlockingIOError:
        pass  # it listens, and many are waiting to come in
    except OSError as error:
        raise ServiceError(f"cannot listen on unix:{path}: {_why(error)}", remedy=_remedy(error, path)) from error
    raise ServiceError(
        f"cannot listen on unix:{path}: another process listens there",
        remedy="stop it, or give this service another path",
    )


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _remedy(error: OSError, path: Path) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return f"make the directory {path.parent}, owned by poprelay's user"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"let poprelay's user write to {path.parent}"
        case _:
            return ""
