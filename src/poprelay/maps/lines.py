"""How the lines of a text file name addresses: an MTA's own spelling, and what stands before and after it.

    PLAIN       192.0.2.7   2001:db8::7                                 Postfix, OpenSMTPD, and most
    SENDMAIL    192.0.2.7   IPv6:2001:db8:0:0:0:0:0:7                   every group written, none padded
    QUOTED      192.0.2.7   "2001:db8::7"                               Exim's iplsearch, where a colon ends a key
    COURIER     192.0.2.7   :2001:0db8:0000:0000:0000:0000:0000:0007    every group padded, and a colon in front
    TCPRULES    192.0.2.7   2001:db8::7                                 and other spellings of some, each in a line

A line counts as ours only if writing what was read gives the very same line.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

from poprelay.address import canonical
from poprelay.maps.keys import checked


class Spelling(NamedTuple):
    """`write` turns a canonical key into what the file says; `read` is its inverse for what `write` made, and for
    anything else returns anything, or raises ValueError. `networks`: whether a key may be an IPv6 network. `every`: all
    that is to be written for a key, where that is not one spelling alone; `read` is the inverse of each."""

    write: Callable[[str], str]
    read: Callable[[str], str]
    networks: bool = False
    every: Callable[[str], tuple[str, ...]] | None = None

    def spellings(self, key: str) -> tuple[str, ...]:
        """All that is written for a key."""
        return self.every(key) if self.every is not None else (self.write(key),)


class Form(NamedTuple):
    """One line: `before`, the address by its `spelling`, `after`."""

    before: str
    after: str
    spelling: Spelling

    def lines(self, key: str) -> tuple[str, ...]:
        """The lines of a key, which is taken on trust; nearly always it is one.

        >>> Form("Connect:", "\\tRELAY", SENDMAIL).lines("2001:db8::7")
        ('Connect:IPv6:2001:db8:0:0:0:0:0:7\\tRELAY',)
        """
        return tuple(self.before + spelling + self.after for spelling in self.spelling.spellings(key))

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
        return found if line in self.lines(found) else None


def numerically(key: str) -> tuple[bool, bytes, str]:
    """A sort key: IPv4 before IPv6, by number; a network before what lies in it."""
    address, _, length = key.partition("/")
    if ":" in address:
        return True, inet_pton(AF_INET6, address), length
    return False, inet_pton(AF_INET, address), length


def first_fields(lines: bytes) -> set[str]:
    """What stands in each line before the first blank or tab, in lower case: what lines in most forms are about.

    >>> sorted(first_fields(b"192.0.2.7\\tREJECT\\n\\nConnect:mx.test  OK\\n"))
    ['192.0.2.7', 'connect:mx.test']
    """
    fields = (line.split(maxsplit=1)[0] for line in lines.lower().splitlines() if line.strip())
    return {field.decode("utf-8", "surrogateescape") for field in fields}


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


def _read_tcprules(text: str) -> str:
    return canonical(text) or text


def _every_tcprules(key: str) -> tuple[str, ...]:
    if ":" not in key:
        return key, f"::ffff:{key}"
    if key.endswith("::"):
        return ()
    groups = key.split(":")
    if "0" not in groups[:7] or "" in groups:
        return (key,)
    at = groups.index("0")
    return key, ":".join(groups[:at]) + "::" + ":".join(groups[at + 1 :])


PLAIN: Final = Spelling(_same, _same)
PLAIN_NETWORKS: Final = Spelling(_same, _same, networks=True)
SENDMAIL: Final = Spelling(_write_sendmail, _read_sendmail)
QUOTED: Final = Spelling(_write_quoted, _read_quoted, networks=True)
COURIER: Final = Spelling(_write_courier, _read_courier)
TCPRULES: Final = Spelling(_same, _read_tcprules, every=_every_tcprules)
