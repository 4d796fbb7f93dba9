"""Asks an SMTP server whether an address may relay: up to RCPT, never to DATA, so that no mail is sent."""

from __future__ import annotations

import smtplib
from typing import Final, NamedTuple

from poprelay.errors import MtaError

TIMEOUT: Final = 30.0
"""Seconds for each answer: postscreen and greet delays take some."""
OUTSIDE: Final = "postmaster@example.com"
"""A recipient that is nobody's own: RFC 2606."""


class NoSmtp(MtaError):
    """What listens there answers, but not as an SMTP server does: waiting is of no use."""


class Verdict(NamedTuple):
    """What the server said to RCPT."""

    code: int
    text: str

    @property
    def accepted(self) -> bool:
        return 200 <= self.code < 300

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


def probe(server: str, port: int, source: str, *, recipient: str) -> Verdict:
    """What `server` says to a client at `source` that wants to send to `recipient`. Raises MtaError if it is silent."""
    literal = f"[IPv6:{source}]" if ":" in source else f"[{source}]"
    try:
        with smtplib.SMTP(server, port, literal, TIMEOUT, (source, 0)) as client:
            client.ehlo_or_helo_if_needed()
            code, text = client.mail("")
            if 200 <= code < 300:
                code, text = client.rcpt(recipient)
            return Verdict(code, text.decode("utf-8", "replace").replace("\n", " "))
    except smtplib.SMTPConnectError as error:
        if error.smtp_code == -1:  # no number
            raise NoSmtp(f"no SMTP server listens at {server} port {port}", remedy="name its port: --port") from error
        raise _silent(server, port, source, error) from error
    except (OSError, smtplib.SMTPException) as error:
        raise _silent(server, port, source, error) from error


def _silent(server: str, port: int, source: str, error: Exception) -> MtaError:
    return MtaError(f"the SMTP server at {server} port {port} does not answer a client at {source}: {error}")
