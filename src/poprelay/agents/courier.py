"""Courier IMAP and POP3, of all times: `LOGIN, user=ann, ip=[::ffff:192.0.2.7], port=[4711], protocol=IMAP`.

Old versions have no port, and since 5.2 a login says whether STARTTLS came before it (until then only its end did). A
failure is a `LOGIN FAILED`. Control characters and 8-bit bytes of a name become dots, but blanks, commas and brackets
stay, so the address is the last `, ip=[...]` of a message whose whole tail is known. The client's port joins the end of
a session to its login; there is no process id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import UNCUT, Agent

_FROM: Final = r", ip=\[(?P<address>[0-9a-fA-F.:]++)\](?>, port=\[(?P<session>[0-9]++)\]|)"


class Courier(Agent):
    """Courier's imapd and pop3d."""

    name = "courier"
    versions = "seen: Courier IMAP and POP3 5.0 and 5.2; older ones as published"
    needs = "Nothing: logins are logged at level info. `DEBUG_LOGIN` is not needed."
    raw_names = False
    program = (
        *("imapd", "imapd-ssl", "imaplogin", "courierimaplogin"),
        *("pop3d", "pop3d-ssl", "pop3login", "courierpop3login"),
        "couriertcpd",  # which of the two only `protocol=` says
    )
    accounts = ("courier",)
    service: Mapping[str, str] = {
        "imapd": "imap",
        "imapd-ssl": "imap",
        "imaplogin": "imap",
        "courierimaplogin": "imap",
        "pop3d": "pop3",
        "pop3d-ssl": "pop3",
        "pop3login": "pop3",
        "courierpop3login": "pop3",
    }
    secure_programs = ("imapd-ssl", "pop3d-ssl")
    login = (
        rf"{UNCUT}LOGIN, user=(?P<user>.*){_FROM}(?>, protocol=(?P<service>IMAP|POP3)|)"
        r"(?>, (?:stls|starttls)=(?P<tls>1)|)$"
    )
    logout = rf"(?:LOGOUT|DISCONNECTED|TIMEOUT), user=(?P<user>.*){_FROM}(?>(?:, [a-z]++=[0-9]++)*)$"
    resembles = r"LOGIN, "
    login_needles = ("LOGIN, user=",)
    logout_needles = ("LOGOUT, user=", "DISCONNECTED, user=", "TIMEOUT, user=")
