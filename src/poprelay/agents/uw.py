"""UW imapd and ipop3d (also Panda), which logs by syslog what the client sent, unclean.

Failures, too, begin with `Login ` (`Login failed user=`, `Login SYSTEM BREAK-IN ATTEMPT user=`), so only the exact
`Login user=` counts; the user name ends at the last ` host=`. `Logout user=` is written after failed logins as well. A
build without IPv6 logs `host=[NON-IPv4]` and a very old one no address: they grant nothing. STARTTLS is not logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import UNCUT, Agent

_WHERE: Final = r" host=(?>[^\s\[\]]++ |)\[(?P<address>[0-9a-fA-F.:]++)\]"


class UW(Agent):
    """University of Washington imapd and ipop3d."""

    name = "uw-imap"
    versions = "seen: UW ipop3d and imapd 2007f; older ones that log an address as published"
    needs = (
        "A build that logs addresses: very old ones log only a name, and those without IPv6 `[NON-IPv4]`; they "
        "grant nothing."
    )
    raw_names = True
    program = ("ipop3d", "ipop3sd", "imapd", "imapsd")
    service: Mapping[str, str] = {"ipop3d": "pop3", "ipop3sd": "pop3", "imapd": "imap", "imapsd": "imap"}
    pid_is_session = True
    login = (
        rf"{UNCUT}(?:Login|Auth|APOP|Authenticated) user=(?P<user>.*){_WHERE}(?> nmsgs=\d++/\d++|)(?> mech=[\w-]++|)$"
    )
    logout = (
        r"(?:Logout|Autologout|Killed \([^()]*+\)|[A-Z][A-Za-z ]*+, while reading (?:line|char))"
        rf" user=(?!\?\?\? )(?P<user>.*){_WHERE}$"
    )
    resembles = r"(?:Login|Auth|APOP|Authenticated) user="
    login_needles = ("Login user=", "Auth user=", "APOP user=", "Authenticated user=")
    logout_needles = ("ogout user=", ", while reading ", "Killed (")
