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

from poprelay.agents.base import Agent


class Cyrus(Agent):
    """Cyrus IMAP."""

    name = "cyrus"
    versions = "seen: Cyrus IMAP 3.2, 3.6 and 3.10; 2.x as published"
    needs = (
        "Nothing; `syslog_prefix` may be anything. Keep the slash in the syslog tag: rsyslog's "
        "`RSYSLOG_SyslogProtocol23Format` cuts the tag there, and then nothing counts."
    )
    raw_names = False
    program = (
        *("*/imap", "*/imaps", "*/pop3", "*/pop3s"),
        *("imap", "imaps", "pop3", "pop3s", "imapd", "pop3d"),
    )
    accounts = ("cyrus",)
    service: Mapping[str, str] = {"imapd": "imap", "pop3d": "pop3"}
    login = (
        r"login: (?:[^\s\[\]]++ ?+)?+\[(?P<address>[0-9a-fA-F.:]++)\] (?P<user>.+) [A-Za-z0-9_-]++(?P<tls>\+TLS)?+"
        r" User logged in(?: SESSIONID=<(?P<session>[^<>\s]++)>)?+$"
    )
    logout = r"session ended: sessionid=<(?P<session>[^<>\s]++)> userid=<(?P<user>.+)> id\.name=<"
    resembles = r"login: "
    login_needles = (" User logged in",)
    logout_needles = ("session ended: sessionid=<",)

    def tls(self, said: str | None) -> bool | None:
        """A mechanism without `+TLS` was in clear."""
        return said is not None
