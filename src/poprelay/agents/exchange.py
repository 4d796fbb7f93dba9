"""Microsoft Exchange's POP3 and IMAP4 protocol logs: CSV with a `#Fields:` line, stamps in UTC.

They are off until `Set-ImapSettings -ProtocolLogEnabled $true` (and `Set-PopSettings`). Watch the files of the front
end (Client Access) only: in those of the back end, `cIp` is the front end. A success says `R=OK` first in its context;
a failure quotes the answer there, with the tag that the client chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import Agent

_WHO: Final = (
    r"\t\[?+(?P<address>[0-9a-fA-F.:]*[0-9a-fA-F.])\]?+:\d++"  # address and port
    r"\t(?P<session>\w++)\t(?P<user>[^\t]++)\t"
)


class Exchange(Agent):
    """Microsoft Exchange."""

    name = "exchange"
    versions = "Exchange 2013 and later, as published"
    needs = (
        "`Set-PopSettings -ProtocolLogEnabled $true` and `Set-ImapSettings -ProtocolLogEnabled $true`, then "
        "restart both services."
    )
    unsafe = (
        "In the files of the back end `cIp` is the front end, and that would be granted: read only the front "
        "end's (Client Access) files."
    )
    program = ("",)
    columns = ("command", "cIp", "sessionId", "user", "context")
    service: Mapping[str, str] = {
        "login": "imap",
        "authenticate": "imap",
        "logout": "imap",
        "pass": "pop3",
        "auth": "pop3",
        "quit": "pop3",
    }
    login = rf"(?P<service>login|authenticate|pass|auth){_WHO}R=(?:OK|ok)(?>;[^\t]*+|)$"
    logout = rf"(?P<service>logout|quit){_WHO}R=(?:OK|ok)(?>;[^\t]*+|)$"
    resembles = r"(?:login|authenticate|pass|auth)\t[^\t]*+\t[^\t]*+\t[^\t]*+\tR=(?i:ok)\b"
    login_needles = ("R=OK", "R=ok")
    logout_needles = login_needles
