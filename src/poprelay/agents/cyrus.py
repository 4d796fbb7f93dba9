"""Cyrus IMAP 2 and 3: `login: client.example.net [192.0.2.7] ann CRAM-MD5+TLS User logged in SESSIONID=<...>`.

The program is `syslog_prefix`, which may be anything or absent, a slash, and the service's name in cyrus.conf; the same
words are logged by sieve, lmtp, nntp and http services, so the service must be one of those here. The address comes
before the name; control characters of a name are written as `^J`. A failure is a `badlogin:`. One process serves many
sessions: only the session id of 3.x joins the end of one to its login.

A syslog template that cuts the program at the slash (rsyslog's RSYSLOG_SyslogProtocol23Format) hides which service it
was, and then nothing counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import Agent

_FROM: Final = r"login: (?>[^\s\[\]]++ ?+|)\[(?P<address>[0-9a-fA-F.:]++)\] "
_SESSION: Final = r"(?> SESSIONID=<(?P<session>[^<>\s]++)>|)"


class Cyrus(Agent):
    """Cyrus IMAP."""

    name = "cyrus"
    versions = "seen: Cyrus IMAP 3.2, 3.6 and 3.10; 2.x, and 1.x that logs process ids, as published"
    needs = (
        "Nothing; `syslog_prefix` may be anything. Keep the slash in the syslog tag: rsyslog's "
        "`RSYSLOG_SyslogProtocol23Format` cuts the tag there, and then nothing counts."
    )
    raw_names = False
    program = (
        *("*/imap", "*/imaps", "*/imapd", "*/pop3", "*/pop3s", "*/pop3d"),
        *("imap", "imaps", "pop3", "pop3s", "imapd", "pop3d"),
    )
    accounts = ("cyrus",)
    service: Mapping[str, str] = {"imapd": "imap", "pop3d": "pop3"}
    login = (
        rf"{_FROM}(?P<user>.+) [A-Za-z0-9_-]++(?>(?P<tls>\+TLS)|) User logged in{_SESSION}$",
        rf"{_FROM}(?P<user>[^\s]{{1,256}}+) plaintext(?>(?P<tls>\+TLS)|) ?+$",  # before 2.2
    )
    logout = r"session ended: sessionid=<(?P<session>[^<>\s]++)> userid=<(?P<user>.+)> id\.name=<"
    resembles = r"login: "
    login_needles = (" User logged in", "]: login: ", "] login: ")  # the last behind Solaris' `[ID ...]`
    logout_needles = ("session ended: sessionid=<",)

    def tls(self, said: str | None) -> bool | None:
        """A mechanism without `+TLS` was in clear."""
        return said is not None
