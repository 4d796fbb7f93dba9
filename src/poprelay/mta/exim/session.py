"""What Exim would say to a client: `exim -bh ADDRESS`, which runs the access control lists and sends nothing.

What it says of each step stands in its trace, each line behind three angle brackets; one without further indent is of
the list itself:

    using ACL "acl_check_rcpt"
    processing "require" (/etc/exim4/exim4.conf 344)
    check domains = +local_domains
    require: condition test failed in ACL "acl_check_rcpt"
    end of ACL "acl_check_rcpt": not OK
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from poprelay.errors import MtaError

STRANGER: Final = "192.0.2.254"
"""An address of nobody, which has no grant and is in no list (RFC 5737)."""
TIMEOUT: Final = 60.0
"""Exim may look up names, and no name server may answer."""
_STEP: Final = re.compile(r'>>> processing "(\w+)"(?: \((.+) (\d+)\))?')
_LAST: Final = re.compile(r'>>> end of ACL "[^"]*": (.*)')
_REPLY: Final = re.compile(r"([2-5]\d\d) (.*)")


class Step(NamedTuple):
    """A statement that was reached: its verb, its file and line (from 1; 0 where Exim does not say)."""

    verb: str
    file: Path
    line: int


class Session(NamedTuple):
    """How it went."""

    replies: tuple[str, ...]
    """To the connection, HELO, MAIL, RCPT, QUIT; fewer if it was ended before."""
    steps: tuple[Step, ...]
    """The statements of the list for RCPT that were reached."""
    ended: str
    """How that list ended: `not OK`, `ACCEPT`, `implicit DENY`; empty if it was not begun."""
    trace: str
    """What Exim says of them."""

    @property
    def greeted(self) -> bool:
        """Whether the client's name was taken."""
        return len(self.replies) > 1 and self.replies[1].startswith("2")

    @property
    def accepted(self) -> bool:
        """Whether RCPT was."""
        return len(self.replies) > 3 and self.replies[3].startswith("2")

    @property
    def said(self) -> str:
        """The last thing that was said about it."""
        said = self.replies[:4]
        return next((reply for reply in said if reply[0] in "45"), said[-1] if said else "nothing")


def session(exim: str, acl: str, *, helo: str = "client.example.com") -> Session:
    """What a stranger is told who wants to send to somewhere else. Raises MtaError."""
    asked = f"HELO {helo}\r\nMAIL FROM:<>\r\nRCPT TO:<someone@example.com>\r\nQUIT\r\n"
    try:
        done = subprocess.run(
            [exim, "-bh", STRANGER], input=asked.encode(), capture_output=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MtaError(f"{exim} -bh {STRANGER}: {error}") from error
    return read(done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"), acl)


def read(replies: str, trace: str, acl: str) -> Session:
    """What Exim has printed, read."""
    said = tuple(line.strip() for line in replies.splitlines() if _REPLY.fullmatch(line.strip()))
    lines = trace.splitlines()
    begin = next((number for number, line in enumerate(lines) if line == f'>>> using ACL "{acl}"'), len(lines))
    within: list[str] = []
    ended = ""
    for line in lines[begin:]:
        last = _LAST.fullmatch(line)
        if last is not None:
            ended = last[1]
            break
        within.append(line)
    steps = tuple(
        Step(step[1], Path(step[2] or ""), int(step[3] or 0)) for step in map(_STEP.fullmatch, within) if step
    )
    return Session(said, steps, ended, "\n".join(within))
