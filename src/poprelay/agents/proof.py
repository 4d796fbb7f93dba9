r"""An agent's samples: lines that are a login, lines that are not, and attacks.

    #= login user=ann address=192.0.2.7 tls=yes session=kX1
    Jun 23 00:11:05 mx dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=192.0.2.7, ...
    #! nothing: the user name carries a forged rip
    Jun 23 00:11:06 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<x, rip=192.0.2.66, y>, ...

`#=` claims that the lines below it, up to the next claim, give exactly this event (several `#=` in a row: these events,
in order); `#!` that they give none. An event's fields are `user`, `address`, `service`, `tls` (`yes`, `no`) and
`session`; what is not claimed is unknown. A value with blanks stands in quotes, as in a shell. Any other line with `# `
is a remark.
"""

from __future__ import annotations

import shlex
from typing import Final

import msgspec

from poprelay.errors import AgentError
from poprelay.model import Event, Login

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


def read(text: str) -> tuple[Sample, ...]:
    """The samples in `text`; AgentError names the line that cannot be read."""
    samples: list[Sample] = []
    lines: list[str] = []
    claims: list[Claim] = []
    reason = ""
    for number, line in enumerate(text.split("\n"), 1):
        head = line[:2]
        if head in {"#=", "#!"}:
            if lines:
                samples.append(Sample(tuple(lines), tuple(claims), reason))
                lines, claims, reason = [], [], ""
            if head == "#=":
                claims.append(_claim(line[2:], number))
            else:
                reason = line[2:].strip()
        elif line and head not in {"# ", "#"}:
            if not claims and not reason:
                raise AgentError(f"samples, line {number}: no claim above it", remedy="begin with '#=' or '#! why'")
            lines.append(line)
    if lines:
        samples.append(Sample(tuple(lines), tuple(claims), reason))
    return tuple(samples)


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
