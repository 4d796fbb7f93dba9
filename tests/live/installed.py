"""MTAs as an administrator finds them installed, for `poprelay setup` and `doctor` to work on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from live.host import Host

_POSTFIX: Final = """
compatibility_level = 3.6
myhostname = mx.site.test
mydestination = site.test
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
disable_dns_lookups = yes
smtpd_peername_lookup = no
local_recipient_maps =
alias_maps =
alias_database =
maillog_file = /var/log/mail.log
"""
_SPOOL: Final = """
touch /etc/postfix/dynamicmaps.cf /var/log/mail.log
cat >>/etc/postfix/dynamicmaps.cf <<'E'
lmdb postfix-lmdb.so dict_lmdb_open mkmap_lmdb_open
cdb postfix-cdb.so dict_cdb_open mkmap_cdb_open
sqlite postfix-sqlite.so dict_sqlite_open
E
chown postfix /var/lib/postfix
cd /var/spool/postfix
mkdir -p active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace pid
chmod 700 active bounce corrupt defer deferred flush hold incoming private saved trace
chown postfix active bounce corrupt defer deferred flush hold incoming private saved trace
chown postfix:postdrop public maildrop
chmod 710 public
chmod 730 maildrop
"""


def poprelay(*words: str) -> list[str]:
    """The command, as a host runs it."""
    return [sys.executable, "-m", "poprelay", *words]


def postfix(place: Path) -> Host:
    """Debian's own Postfix, with its jail, started."""
    host = Host("postfix", place, daemons=("postfix", "postdrop", "poprelay"))
    host.run("sh", "-c", "cat >/etc/postfix/main.cf <<'E'" + _POSTFIX + "E\n")
    host.run("cp", "/usr/share/postfix/master.cf.dist", "/etc/postfix/master.cf")
    host.run("sh", "-ec", _SPOOL)
    host.run("postfix", "start")
    return host
