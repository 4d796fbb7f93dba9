"""A mail log of any length, for the benchmarks: lines of a Dovecot and Postfix host, in the shapes that these write.

The mix is a model: no log of a busy host was at hand. `logins` is the share of lines that are a login; of the others
every ninth is the end of a session, which makes an event, too.

    python benchmarks/maillog.py 400 --logins 0.03 >mail.log
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

BEGIN: Final = datetime(2026, 11, 23, 6, tzinfo=UTC)
PER_SECOND: Final = 40
_BLOCK: Final = 20_000  # lines

# weight, what stands after `stamp host `
OTHER: Final = (
    (96, "postfix/smtpd[{pid}]: connect from {name}[{ip}]"),
    (
        102,
        "postfix/smtpd[{pid}]: disconnect from {name}[{ip}] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
    ),
    (12, "postfix/smtpd[{pid}]: lost connection after AUTH from unknown[{ip}]"),
    (
        40,
        "postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from {name}[{ip}]: 554 5.7.1 <{to}>: Relay access denied; {mail}",
    ),
    (9, "postfix/smtpd[{pid}]: warning: {name}[{ip}]: SASL LOGIN authentication failed: authentication failure"),
    (60, "postfix/smtpd[{pid}]: {queue}: client={name}[{ip}]"),
    (
        20,
        "postfix/smtpd[{pid}]: Anonymous TLS connection established from {name}[{ip}]: TLSv1.3 with cipher AES256",
    ),
    (27, "postfix/postscreen[{pid}]: CONNECT from [{ip}]:{port} to [192.0.2.25]:25"),
    (48, "postfix/cleanup[{pid}]: {queue}: message-id=<{session}@{name}>"),
    (56, "postfix/qmgr[{pid}]: {queue}: from=<{to}>, size={port}, nrcpt=1 (queue active)"),
    (54, "postfix/qmgr[{pid}]: {queue}: removed"),
    (
        72,
        "postfix/smtp[{pid}]: {queue}: to=<{to}>, relay=mx.example.net[{ip}]:25, delay=2.9, {sent} (250 2.0.0 OK)",
    ),
    (14, "amavis[{pid}]: ({pid}-04) Passed CLEAN, [127.0.0.1] <{to}> -> <{to}>, Message-ID: <{session}>, Hits: 1.984"),
    (36, "spamd[{pid}]: spamd: clean message (0.1/5.0) for {user}:65534 in 0.0 seconds, {port} bytes."),
    (12, "opendkim[{pid}]: {queue}: DKIM-Signature field added (s=mail, d=example.com)"),
    (
        32,
        "dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts): user=<{user}>, {where}",
    ),
    (
        12,
        "dovecot: pop3-login: Disconnected: Aborted login by logging out (no auth attempts): user=<>, {where}",
    ),
    (12, "dovecot: auth: passwd-file({user},{ip},<{session}>): Password mismatch"),
    (38, "dovecot: lmtp({to})<{pid}><{session}>: msgid=<{session}@{name}>: saved mail to INBOX"),
    (20, "dovecot: lmtp({pid}): Connect from local"),
    (90, "dovecot: imap({user})<{pid}><{session}>: Disconnected: Logged out {counts}"),
    (6, "dovecot: imap({user})<{pid}><{session}>: Disconnected: Connection closed (No commands sent) {counts}"),
    (4, "dovecot: imap({user}): Logged out in=8 out=404"),
    (20, "dovecot: pop3({user})<{pid}><{session}>: Disconnected: Logged out top=0/0, retr=0/0, del=0/0, size=0"),
    (8, "CRON[{pid}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"),
)
HOSTILE: Final = (
    (
        1,
        "postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from {name}[{ip}]: 550 5.1.1 <x>: User unknown; {forged}",
    ),
)
LOGINS: Final = (
    (60, "imap", "rip={ip}, lip=192.0.2.25, mpid={pid}, TLS"),
    (4, "imap", "rip=2001:db8:0:1::{port}, lip=2001:db8::25, mpid={pid}, TLS"),
    (16, "imap", "rip=127.0.0.1, lip=127.0.0.1, mpid={pid}, secured"),
    (20, "pop3", "rip={ip}, lip=192.0.2.25, mpid={pid}, TLS"),
)
PARTS: Final = {
    "mail": "from=<ann@example.net> to=<bob@example.org> proto=ESMTP helo=<client.example.net>",
    "counts": "in=9 out=470 deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0",
    "sent": "delays=0.37/0.51/1.4/0.59, dsn=2.0.0, status=sent",
    "where": "method=PLAIN, rip=198.51.100.77, lip=192.0.2.25, TLS, session=<jU8VlvBgE8HLAHEF>",
    "forged": 'from=<"dovecot: imap-login: Login: user=<b>, method=PLAIN, rip=192.0.2.66, lip=192.0.2.1"@example.org>',
}
LOGIN: Final = "dovecot: {service}-login: Login: user=<{user}>, method=PLAIN, {origin}, session=<{session}>"


def lines(logins: float, *, seed: int = 1) -> Iterator[str]:
    """Lines without their newline, for ever; the same for the same seed."""
    chance = random.Random(seed)
    noise = OTHER + HOSTILE if logins else OTHER
    weights = [weight for weight, _ in noise]
    number = 0
    while True:
        stamp = (BEGIN + timedelta(seconds=number // PER_SECOND)).strftime("%b %e %H:%M:%S")
        number += 1
        yield f"{stamp} mx1 {_text(chance, logins, noise, weights)}"


def _text(chance: random.Random, logins: float, noise: tuple[tuple[int, str], ...], weights: list[int]) -> str:
    words: dict[str, object] = {
        **PARTS,
        "pid": chance.randrange(100, 65536),
        "port": chance.randrange(1024, 10000),
        "ip": f"198.51.{chance.randrange(100, 116)}.{chance.randrange(256)}",
        "name": f"host{chance.randrange(10000)}.example.net",
        "user": f"user{chance.randrange(5000)}@example.com",
        "to": f"friend{chance.randrange(5000)}@example.org",
        "queue": f"{chance.randrange(1 << 40):010X}",
        "session": f"{chance.randrange(1 << 60):x}",
    }
    if chance.random() < logins:
        _, service, origin = chance.choices(LOGINS, [weight for weight, *_ in LOGINS])[0]
        return LOGIN.format(service=service, origin=origin.format(**words), **words)
    return chance.choices(noise, weights)[0][1].format(**words)


def blocks(megabytes: float, logins: float, *, seed: int = 1) -> Iterator[bytes]:
    """The log in pieces, at least so long in all."""
    source, written = lines(logins, seed=seed), 0
    while written < megabytes * 1e6:
        block = "".join(f"{next(source)}\n" for _ in range(_BLOCK)).encode()
        written += len(block)
        yield block


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("megabytes", type=float)
    options.add_argument("--logins", type=float, default=0.1, help="the share of lines that are a login (0.1)")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    for block in blocks(given.megabytes, given.logins, seed=given.seed):
        sys.stdout.buffer.write(block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
