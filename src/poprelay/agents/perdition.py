"""perdition, a POP3 and IMAP proxy, 1 and 2.

    Auth: 192.0.2.7:4711->198.51.100.1:143 client-secure=starttls ... authentication_id="ann" ... status="ok"
    Auth: 192.0.2.7->198.51.100.1 user="ann" server="mail" port="143" status="ok"

Names are raw: with a syslog daemon that writes control characters as they are, a client can begin a line of its own.
The address stands first, and the status ends the message. Versions without a status do not say whether the login
succeeded, and grant nothing. One process serves one session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import UNCUT, Agent

_ENDS: Final = r"\[?+(?P<address>[0-9.]++|[0-9a-fA-F:.]+?)\]?+:[0-9]++->[^\s]++ "


class Perdition(Agent):
    """perdition, a proxy: perdition.pop3, perdition.imap4 and their TLS kin."""

    name = "perdition"
    versions = "seen: perdition 2.2; 1.x that says a status as published"
    needs = "Nothing. To the servers behind it every client has perdition's address: read this log, not theirs."
    raw_names = True
    program = (
        "perdition.pop3",
        "perdition.pop3s",
        "perdition.imap4",
        "perdition.imap4s",
        "perdition.imaps",
        "perdition",
    )
    units = ("perdition.service",)  # it runs as nobody
    service: Mapping[str, str] = {
        "POP3": "pop3",
        "POP3S": "pop3",
        "IMAP4": "imap",
        "IMAP4S": "imap",
        "110": "pop3",
        "995": "pop3",
        "143": "imap",
        "993": "imap",
        "perdition.pop3": "pop3",
        "perdition.pop3s": "pop3",
        "perdition.imap4": "imap",
        "perdition.imap4s": "imap",
        "perdition.imaps": "imap",
    }
    pid_is_session = True
    login = (
        (
            rf"{UNCUT}Auth: {_ENDS}client-secure=(?P<tls>plaintext|starttls|ssl) authorisation_id=[^ ]*+ "
            r'authentication_id="(?P<user>.*)" server="[^"]*+" protocol=(?P<service>POP3S?+|IMAP4S?+)'
            r' server-secure=[a-z]++ status="ok"$'
        ),
        (
            rf'{UNCUT}Auth: (?P<address>[0-9a-fA-F.:]++)->[^\s]++ user="(?P<user>.*)" server="[^"]*+"'
            r' port="(?P<service>[0-9]++)" status="ok"$'
        ),
    )
    logout = (
        rf"Closing session: {_ENDS}authorisation_id=[^ ]*+ "
        r'authentication_id="(?P<user>.*)" received=[0-9]++ sent=[0-9]++$'
    )
    resembles = r"Auth: "
    login_needles = ('status="ok"', r"status=\"ok\"")  # the second in a journal's JSON
    logout_needles = ("Closing session: ",)

    def tls(self, said: str | None) -> bool | None:
        """`plaintext` is in clear; where nothing is said, nobody knows."""
        return None if said is None else said != "plaintext"
