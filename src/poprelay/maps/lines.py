"""How the lines of a text file name addresses: an MTA's own spelling, and what stands before and after it.

    PLAIN       192.0.2.7   2001:db8::7                                 Postfix, OpenSMTPD, and most
    SENDMAIL    192.0.2.7   IPv6:2001:db8:0:0:0:0:0:7                   every group written, none padded
    QUOTED      192.0.2.7   "2001:db8::7"                               Exim's iplsearch, where a colon ends a key
    COURIER     192.0.2.7   :2001:0db8:0000:0000:0000:0000:0000:0007    every group padded, and a colon in front

A line counts as ours only if writing what was read gives the very same line.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

from poprelay.maps.keys import checked


class Spelling(NamedTuple):
    """`write` turns a canonical key into what the file says; `read` is its inverse for what `write` made, and for
    anything else returns anything, or raises ValueError. `networks`: whether a key may be an IPv6 network."""

    write: Callable[[str], str]
    read: Callable[[str], str]
    networks: bool = False


class Form(NamedTuple):
    """One line: `before`, the address by its `spelling`, `after`."""

    before: str
    after: str
    spelling: Spelling

    def line(self, key: str) -> str:
        """The line of a key, which is taken on trust.

        >>> Form("Connect:", "\\tRELAY", SENDMAIL).line("2001:db8::7")
        'Connect:IPv6:2001:db8:0:0:0:0:0:7\\tRELAY'
        """
        return self.before + self.spelling.write(key) + self.after

    def key(self, line: str) -> str | None:
        """The key that the line names; None if it is not a line of ours.

        >>> form = Form("", "", COURIER)
        >>> form.key(":2001:0db8:0000:0000:0000:0000:0000:0007"), form.key(":2001:0db8"), form.key("2001:db8::7")
        ('2001:db8::7', None, None)
        """
        try:
            found = self.spelling.read(line.removeprefix(self.before).removesuffix(self.after))
            checked(found, networks=self.spelling.networks)
        except ValueError:
            return None
        return found if self.line(found) == line else None


def numerically(key: str) -> tuple[bool, bytes, str]:
    """A sort key: IPv4 before IPv6, by number; a network before what lies in it."""
    address, _, length = key.partition("/")
    if ":" in address:
        return True, inet_pton(AF_INET6, address), length
    return False, inet_pton(AF_INET, address), length


def _same(text: str) -> str:
    return text


def _write_sendmail(key: str) -> str:
    if ":" not in key:
        return key
    groups = IPv6Address(key).exploded.split(":")
    return "IPv6:" + ":".join(f"{int(group, 16):x}" for group in groups)


def _read_sendmail(text: str) -> str:
    return str(IPv6Address(text[5:])) if text.startswith("IPv6:") else text


def _write_quoted(key: str) -> str:
    return f'"{key}"' if ":" in key else key


def _read_quoted(text: str) -> str:
    return text[1:-1] if text.startswith('"') else text


def _write_courier(key: str) -> str:
    return ":" + IPv6Address(key).exploded if ":" in key else key


def _read_courier(text: str) -> str:
    return str(IPv6Address(text[1:])) if text.startswith(":") else text


PLAIN: Final = Spelling(_same, _same)
PLAIN_NETWORKS: Final = Spelling(_same, _same, networks=True)
SENDMAIL: Final = Spelling(_write_sendmail, _read_sendmail)
QUOTED: Final = Spelling(_write_quoted, _read_quoted, networks=True)
COURIER: Final = Spelling(_write_courier, _read_courier)
