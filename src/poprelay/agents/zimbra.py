"""Zimbra's mailbox.log: `INFO [ImapServer-1] [name=ann;ip=198.51.100.1;oip=192.0.2.7;] imap - user ann authenticated`.

`ip` is Zimbra's own proxy and `oip` the client; where there is neither `oip` nor `via` there was no proxy, and `ip` is
the client. `ua` and `via` are the client's words, and stand behind both. By syslog the line stands behind `mailboxlog`,
without a colon. Local time.
"""

from __future__ import annotations

from typing import Final

from poprelay.agents.base import UNCUT, Agent

_LINE: Final = (
    r"(?>[^\s]++ mailboxlog |)"
    r"(?>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8},[0-9]{3} |)INFO ++\[(?:Imap|Pop3)(?>SSL|)Server-[0-9]++\] "
)
_BEFORE: Final = rf"{UNCUT}{_LINE}\[name=[^;\]]*+;(?>aname=[^;\]]*+;|)(?>mid=[0-9]++;|)"
_DONE: Final = (
    r"(?P<service>imap|pop3?+) - user (?P<user>[^\s;,\]]++) authenticated"
    r"(?>, mechanism=[A-Z0-9-]++|)(?>(?P<tls> \[TLS\])|)$"
)


class Zimbra(Agent):
    """Zimbra's IMAP and POP3."""

    name = "zimbra"
    versions = "Zimbra 8.6, as published"
    needs = (
        "Behind Zimbra's proxy: `zmprov mcf +zimbraMailTrustedIP ADDRESS` for each proxy, so that `oip` says the "
        "client."
    )
    unsafe = (
        "Where a proxy is not trusted so, and says neither `oip` nor `via`, `ip` is the proxy, and so is what is "
        "granted."
    )
    program = ("", "mailboxlog", "mailboxd")
    accounts = ("zimbra",)
    login = (
        rf"{_BEFORE}ip=[0-9a-fA-F.:]++;(?>port=[0-9]++;|)oip=(?P<address>[0-9a-fA-F.:]++);[^\]]*+\] {_DONE}",
        rf"{_BEFORE}ip=(?P<address>[0-9a-fA-F.:]++);(?![^\]]*(?:oip|via)=)[^\]]*+\] {_DONE}",
    )
    resembles = _LINE + r"\[[^\]]*\] (?:imap|pop3?) - user .* authenticated"
    login_needles = (" authenticated",)
