"""Apple Mail Server (AppleMailServer, 10.2): `Apr 23 2003 16:26:11 IMAP User "ann" log on successful from 192.0.2.7`.

A log of its own. The name stands in quotes, and none with a quote in it is taken, nor a very long one: the address
stands last, and may have been cut.
"""

from __future__ import annotations

from poprelay.agents.base import Agent


class AppleMail(Agent):
    """Apple Mail Server."""

    name = "apple-mail"
    versions = "AppleMailServer 10.2 of Mac OS X Server, as published"
    needs = "Nothing is known to be needed. The files are AppleMailServer.IMAP.log and its like for POP."
    program = ("",)
    login = (
        r'(?P<service>IMAP|POP3?+) User "(?P<user>[^"]{1,128}+)" log on successful from (?P<address>[0-9a-fA-F.:]++)$'
    )
    resembles = r"(?:IMAP|POP3?) User .* log on successful"
    login_needles = (" log on successful from ",)
