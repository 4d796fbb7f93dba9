"""DBMail's imap4d: `... login accepted: id [4] user [ann] from [192.0.2.7:4711]`, at level Notice.

Its pop3d logs no address with a login, and one process serves all, so that nobody can say who logged in from where: it
grants nothing. At level Info clients' raw commands are logged. The name ends at the last `] from [`.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class DBMail(Agent):
    """DBMail's IMAP server."""

    name = "dbmail"
    versions = "seen: DBMail 3.5; imap4d only"
    needs = "Level Notice: `syslog_logging_levels` in dbmail.conf (or `file_logging_levels`) must include it."
    unsafe = "At level Info it logs what clients send, raw: leave Info out."
    raw_names = True
    program = ("dbmail/imap4d", "dbmail-imapd")
    accounts = ("dbmail",)
    service = "imap"
    login = (
        rf"{UNCUT}Notice:\[imap\] dbmail_imap_session_handle_auth\(\+[0-9]++\): \[0x[0-9a-f]++\] "
        r"login accepted: id \[[0-9]++\]"
        r" user \[(?P<user>.*)\] from \[(?P<address>[0-9a-fA-F.:]*[0-9a-fA-F.]):[0-9]++\]$"
    )
    resembles = r"Notice:\[imap\] dbmail_imap_session_handle_auth\(.*\] login accepted: "
    login_needles = ("login accepted: id [",)
