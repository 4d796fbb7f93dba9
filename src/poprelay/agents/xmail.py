"""XMail's POP3 log: quoted columns with tabs between, local time. The seventh says `LOGIN`, or `ELOGIN` if it failed.

    "mx"<tab>"example.org"<tab>"192.0.2.7"<tab>"2026-11-23 12:00:00"<tab>"ann"<tab>""<tab>"LOGIN"<tab>"3"<tab>"12345"

No column of a login holds a quote or a tab, and nothing follows what is known.
"""

from __future__ import annotations

from poprelay.agents.base import Agent


class XMail(Agent):
    """XMail."""

    name = "xmail"
    versions = "XMail 1.27, by its source"
    needs = "The POP3 server's log: `-Pl` on its command line."
    program = ("",)
    login = (
        r'"[^"\t]*+"\t"[^"\t]*+"\t"(?P<address>[0-9a-fA-F.:]++)"\t"[\d: -]++"'
        r'\t"(?P<user>[^"\t]{1,256}+)"\t"[^"\t]*+"\t"LOGIN"(?>\t"\d++"\t"\d++"|)$'
    )
    resembles = r'(?:"[^"\t]*+"\t){6}"LOGIN"'
    login_needles = ('"LOGIN"',)
