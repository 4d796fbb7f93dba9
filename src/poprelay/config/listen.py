"""Where something listens, as the config spells it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Final

import msgspec

LONGEST_SOCKET: Final = 103
"""Bytes of a unix socket's path that every system takes (BSD: 104 with its NUL; Linux: 108)."""


class Listen(msgspec.Struct, frozen=True):
    """`unix:/path`, or `inet:HOST:PORT` with an address, not a name; an IPv6 one in brackets.

    >>> str(Listen(unix=Path("/run/x"))), str(Listen(host="::1", port=10027))
    ('unix:/run/x', 'inet:[::1]:10027')
    """

    unix: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        return f"inet:[{self.host}]:{self.port}" if ":" in self.host else f"inet:{self.host}:{self.port}"


def parse_listen(text: str) -> Listen | None:
    """What `text` spells, or None if it is no place to listen. Equal places are equal, however they are spelled.

    >>> str(parse_listen("inet:[0:0::1]:10027")), parse_listen("inet:localhost:10027"), parse_listen("inet:::1:10027")
    ('inet:[::1]:10027', None, None)
    """
    kind, _, where = text.partition(":")
    if kind == "unix":
        return None if path_flaw(where) else Listen(unix=Path("/", where.lstrip("/")))
    host, _, port = where.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if kind != "inet" or not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536):
        return None
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    return (
        None if (address.version == 6) != (bare != host) or "%" in bare else Listen(host=str(address), port=int(port))
    )


def is_pattern(path: str) -> bool:
    """Whether a path looks like a shell's pattern for several files.

    >>> is_pattern("/var/log/mail*.log"), is_pattern("/var/log/mail.log")
    (True, False)
    """
    return any(character in path for character in "*?[")


def path_flaw(text: str) -> str:
    """What is wrong with `text` as the path of a file, or '' if nothing is.

    >>> path_flaw("relay.lmdb"), path_flaw("/var/lib/../relay.lmdb"), path_flaw("/var/lib/poprelay/relay.lmdb")
    ('is not an absolute path', "has '..' in it", '')
    """
    if not text.startswith("/"):
        return "is not an absolute path"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        return "has a control character in it"
    if ".." in text.split("/"):
        return "has '..' in it"
    if not text.strip("/"):
        return "names no file"
    return ""
