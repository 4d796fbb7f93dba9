"""hMailServer: the name stands in what the client sent, the success in what it was answered, both with its address.

    "IMAPD"<tab>5436<tab>2<tab>"2026-11-23 15:06:25.909"<tab>"192.0.2.7"<tab>"RECEIVED: 3 login "ann" ***"
    "IMAPD"<tab>5436<tab>2<tab>"2026-11-23 15:06:26.123"<tab>"192.0.2.7"<tab>"SENT: 3 OK LOGIN completed"

The third column numbers the sessions and joins the two. Local time. Needs the log of the protocols, `Log IMAP` and
`Log POP3`. Quotes within the text are not escaped; the address stands before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import Agent

_FROM: Final = r'"(?P<address>[0-9a-fA-F.:]++)"\t"'


class HMailServer(Agent):
    """hMailServer 5."""

    name = "hmailserver"
    versions = "hMailServer 5.6, as published"
    needs = "In its Settings, Logging: Log IMAP and Log POP3."
    program = ("IMAPD", "POP3D")
    service: Mapping[str, str] = {"IMAPD": "imap", "POP3D": "pop3"}
    pid_is_session = True
    connect = (
        rf'{_FROM}RECEIVED: [^\s"]++ (?i:LOGIN) "(?P<user>[^"]++)" \*\*\*"$',
        rf'{_FROM}RECEIVED: [^\s"]++ (?i:LOGIN) (?P<user>[^\s"]++) \*\*\*"$',
        rf'{_FROM}RECEIVED: (?i:USER) (?P<user>[^\s"]++)"$',
    )
    login = rf'{_FROM}SENT: (?:[^\s"]++ OK LOGIN completed|\+OK Mailbox locked and ready)"$'
    ends = (r'"[^"]*+"\t"SENT: (?:[^\s"]++ (?:NO|BAD) |-ERR )', r'"[^"]*+"\t"RECEIVED: [^\s"]++ (?i:LOGIN) ')
    logout = rf'{_FROM}RECEIVED: (?:[^\s"]++ (?i:LOGOUT)|(?i:QUIT))"$'
    resembles = r'"[^"]*+"\t"SENT: (?:[^\s"]++ OK LOGIN |\+OK Mailbox locked)'
