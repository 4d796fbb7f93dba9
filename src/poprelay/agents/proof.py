r"""An agent's samples: lines that are a login, lines that are not, and attacks.

    #= login user=ann address=192.0.2.7 tls=yes session=kX1
    Jun 23 00:11:05 mx dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=192.0.2.7, ...
    #! nothing: the user name carries a forged rip
    Jun 23 00:11:06 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<x, rip=192.0.2.66, y>, ...
    #~ login from 192.0.2.7
    Jun 23 00:11:05 mx dovecot: imap-login: Login: user=<@@>, method=PLAIN, rip=192.0.2.7, ...
    #~ no login
    Jun 23 00:11:07 mx dovecot: auth: plain(?,192.0.2.7,<kX1>): Username character disallowed (username: @@)

`#=` claims that the lines below it, up to the next claim, give exactly this event (several `#=` in a row: these events,
in order); `#!` that they give none. An event's fields are `user`, `address`, `service`, `tls` (`yes`, `no`) and
`session`; what is not claimed is unknown. A value with blanks stands in quotes, as in a shell. Any other line with `# `
is a remark.

`#~` opens a template, the lines up to the next claim: `@@` stands for a text that a client chooses. Whatever it
is, a `login from A` names A or nobody (and A if the text is a plain name), and `no login` is none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

import msgspec

from poprelay.errors import AgentError
from poprelay.model import Event, Login

CHOSEN: Final = "@@"
"""Stands in a template where a client's text does."""

FIELDS: Final = ("user", "address", "service", "tls", "session")


class Claim(msgspec.Struct, frozen=True):
    """One event, as far as a sample claims it: the type, and its fields as the sample spells them."""

    kind: str
    fields: dict[str, str]


class Sample(msgspec.Struct, frozen=True):
    """Lines, the events that they give (none: they must give nothing), and why."""

    lines: tuple[str, ...]
    claims: tuple[Claim, ...]
    reason: str


class Template(msgspec.Struct, frozen=True):
    """Lines with a place for a client's text, and the address that logs in by them (None: nobody does)."""

    lines: tuple[str, ...]
    address: str | None

    def filled(self, text: str) -> tuple[str, ...]:
        """The lines as they are when a client chose `text`."""
        return tuple(line.replace(CHOSEN, text) for line in self.lines)


def read(text: str) -> tuple[Sample, ...]:
    """The samples in `text`; AgentError names the line that cannot be read."""
    found: list[Sample] = []
    for heads, lines in _groups(text):
        claims = tuple(_claim(head[2:], number) for number, head in heads if head.startswith("#="))
        if not any(head.startswith("#~") for _, head in heads):
            found.append(Sample(lines, claims, heads[-1][1][2:].strip() if not claims else ""))
    return tuple(found)


def templates(text: str) -> tuple[Template, ...]:
    """The templates in `text`; AgentError names the line that cannot be read."""
    groups = [(heads, lines) for heads, lines in _groups(text) if heads[0][1].startswith("#~")]
    return tuple(Template(lines, _logs_in(heads, lines)) for heads, lines in groups)


def _groups(text: str) -> Iterator[tuple[list[tuple[int, str]], tuple[str, ...]]]:
    """The lines below each claim, or several in a row, which come first, with their numbers."""
    heads: list[tuple[int, str]] = []
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line[:2] in {"#=", "#!", "#~"}:
            if lines:
                yield heads, tuple(lines)
                heads, lines = [], []
            heads.append((number, line))
        elif line and line[:2] not in {"# ", "#"}:
            if not heads:
                raise AgentError(
                    f"samples, line {number}: no claim above it", remedy="begin with '#=', '#! why' or '#~'"
                )
            lines.append(line)
    if lines:
        yield heads, tuple(lines)


def _logs_in(heads: list[tuple[int, str]], lines: tuple[str, ...]) -> str | None:
    number, head = heads[0]
    said = re.fullmatch(r"#~ (?:no login|login from (\S+))", head)
    if said is None or len(heads) > 1 or not any(CHOSEN in line for line in lines):
        raise AgentError(
            f"samples, line {number}: {head!r} is no claim about a template",
            remedy=f"write '#~ login from ADDRESS' or '#~ no login', and {CHOSEN} in the lines below it",
        )
    return said[1]


def spelled(event: Event) -> Claim:
    """The claim that is true of `event`."""
    fields = {
        "user": event.user,
        "address": event.address,
        "service": event.service,
        "tls": {True: "yes", False: "no", None: None}[event.tls] if isinstance(event, Login) else None,
        "session": event.session,
    }
    kind = "login" if isinstance(event, Login) else "logout"
    return Claim(kind, {field: value for field, value in fields.items() if value is not None})


def _claim(text: str, number: int) -> Claim:
    try:
        kind, *pairs = shlex.split(text)
        fields = dict(pair.split("=", 1) for pair in pairs)
    except ValueError:
        kind, fields = "", {}
    if kind not in {"login", "logout"} or not fields.keys() <= {*FIELDS}:
        raise AgentError(
            f"samples, line {number}: {text.strip()!r} is no claim",
            remedy=f"write '#= login' or '#= logout' and fields of {', '.join(FIELDS)} as name=value",
        )
    return Claim(kind, fields)
