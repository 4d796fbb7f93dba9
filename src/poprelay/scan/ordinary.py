"""What ordinary lines of a mail host say: a needle in one of them is looked at for nothing, again and again.

A model of such logs (Postfix, filters, Dovecot's and other servers' lines that are no login), with the text that varies
made plain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

LINES: Final = (
    b"postfix/smtpd[7]: connect from client.example.net[192.0.2.7]",
    b"postfix/smtpd[7]: disconnect from unknown[192.0.2.7] ehlo=1 auth=0/1 quit=1 commands=2/3",
    b"postfix/smtpd[7]: lost connection after AUTH from unknown[192.0.2.7]",
    (
        b"postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 550 5.1.1 <a@b.org>: Recipient address "
        b"rejected: User unknown in local recipient table; from=<b@example.org> to=<a@example.org> proto=ESMTP helo=<x>"
    ),
    b"postfix/smtpd[7]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: authentication failure",
    b"postfix/smtpd[7]: 3F2A9: client=client.example.net[192.0.2.7], sasl_method=PLAIN, sasl_username=ann",
    b"postfix/smtpd[7]: Anonymous TLS connection established from client.example.net[192.0.2.7]: TLSv1.3 with cipher x",
    b"postfix/postscreen[7]: CONNECT from [192.0.2.7]:50001 to [192.0.2.25]:25",
    b"postfix/anvil[7]: statistics: max connection rate 2/60s for (smtp:192.0.2.7) at Feb 14 19:38:13",
    b"postfix/cleanup[7]: 3F2A9: message-id=<x@example.org>",
    b"postfix/qmgr[7]: 3F2A9: from=<b@example.org>, size=999, nrcpt=1 (queue active)",
    b"postfix/qmgr[7]: 3F2A9: removed",
    b"postfix/pickup[7]: 3F2A9: uid=65534 from=<ann>",
    (
        b"postfix/smtp[7]: 3F2A9: to=<a@example.org>, relay=mx.example.net[192.0.2.7]:25, delay=2.9, "
        b"delays=0.3/0.5/1.4/0.5, dsn=2.0.0, status=sent (250 2.0.0 OK)"
    ),
    b"amavis[7]: (7-04) Passed CLEAN, [127.0.0.1] <b@example.org> -> <a@example.org>, Message-ID: <x>, Hits: 1.984",
    b"spamd[7]: spamd: clean message (0.1/5.0) for ann:65534 in 0.0 seconds, 557 bytes.",
    b"spamd[7]: spamd: connection from ip6-localhost [::1]:50001 to port 783, fd 5",
    b"opendkim[7]: 3F2A9: DKIM-Signature field added (s=mail, d=example.com)",
    b"postgrey[7]: action=pass, reason=triplet found, client_name=x, client_address=192.0.2.7, sender=b, recipient=a",
    (
        b"dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<ann>, "
        b"method=PLAIN, rip=192.0.2.7, lip=192.0.2.25, TLS, session=<x>"
    ),
    b"dovecot: pop3-login: Disconnected: Aborted login by logging out (no auth attempts in 0 secs): user=<>, rip=::1",
    b"dovecot: auth: passwd-file(ann,192.0.2.7,<x>): Password mismatch",
    b"dovecot: lmtp(7): Connect from local",
    b"dovecot: lmtp(ann)<7><x>: msgid=<x@example.org>: saved mail to INBOX",
    b"dovecot: lmtp(7): Disconnect from local: Successful quit",
    b"dovecot: imap(ann)<7><x>: delete: box=INBOX, uid=1, msgid=<x>, size=134",
    b"imapd: Connection, ip=[::ffff:192.0.2.7], port=[50001]",
    b"imapd: Disconnected, ip=[::ffff:192.0.2.7], port=[50001], time=0",
    b"cyrus/imaps[7]: starttls: TLSv1.3 with cipher x (256/256 bits new) no authentication",
    b"cyrus/pop3[7]: counts: retr=<0> top=<0> dele=<0>",
    b"CRON[7]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    b"systemd[1]: Starting Rotate log files...",
    b"sshd[7]: Accepted publickey for ann from 192.0.2.7 port 50001 ssh2",
)


class Common(msgspec.Struct, frozen=True):
    """A needle that ordinary lines have, and such a line."""

    needle: bytes
    line: bytes


def common(needles: Iterable[bytes]) -> list[Common]:
    """Those needles that ordinary lines have: each such line is taken apart for nothing.

    >>> common([b"Login: user=<", b" from "])[0].line.decode()
    'postfix/smtpd[7]: connect from client.example.net[192.0.2.7]'
    """
    lines = {needle: next((line for line in LINES if needle in line), None) for needle in needles}
    return [Common(needle, line) for needle, line in lines.items() if line is not None]
