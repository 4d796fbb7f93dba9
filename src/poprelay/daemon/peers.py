"""Who asks: the user at the other end of a unix socket, and what a user is called."""

from __future__ import annotations

import pwd
import socket
import struct


def peer_uid(sock: socket.socket) -> int | None:
    """The user id of the process at the other end of a unix socket, by the kernel's word; None if it does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    _, uid, _ = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII")))
    return int(uid)


def user_name(uid: int) -> str:
    """`root`, or `uid 1234` for a user that has no name here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
