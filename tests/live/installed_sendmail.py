"""Sendmail as Debian installs it, for `poprelay setup` and `doctor` to work on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from live.host import Host
from live.packages import prefix

_MADE: Final = """
mkdir -p /var/lib/sendmail /var/spool/mqueue /var/spool/mqueue-client /run/sendmail/mta /etc/mail/m4
chown smmta:smmsp /etc/mail /etc/mail/m4 /var/lib/sendmail /run/sendmail/mta /var/spool/mqueue
chown smmsp:smmsp /var/spool/mqueue-client
chmod 2755 /etc/mail /run/sendmail/mta
chmod 2750 /var/spool/mqueue
echo mx.site.test >/etc/mailname
echo nameserver 127.0.0.1 >/etc/resolv.conf
echo "9.9.9.9 mx.site.test $(hostname)" >>/etc/hosts  # a bare name would make it sleep for a minute
cd /etc/mail
printf 'localhost\\nsite.test\\n' >local-host-names
touch trusted-users relay-domains m4/dialup.m4 m4/provider.m4 /etc/aliases
cp /usr/share/sendmail/cf/debian/submit.mc .
sed "s/, Addr=127.0.0.1//" /usr/share/sendmail/cf/debian/sendmail.mc >sendmail.mc
cp /usr/share/sendmail/examples/db/access access
chown smmta:smmsp access
chmod 640 access
m4 sendmail.mc >sendmail.cf
echo '### /etc/mail/sendmail.mc ###' >>sendmail.cf
sed -e 's/^/# /' sendmail.mc >>sendmail.cf
/usr/libexec/sendmail/makemap hash access.new.db <access
chown smmta:smmsp access.new.db
mv access.new.db access.db
/usr/libexec/sendmail/newaliases >/dev/null
"""
_IP: Final = """#!/bin/sh
LD_LIBRARY_PATH="$(echo {prefix}/usr/lib/*-linux-gnu)" exec {prefix}/{program} "$@"
"""
"""For the proof, in which Sendmail trusts every address that the host has by itself."""


def sendmail(place: Path) -> Host:
    """Debian's own Sendmail, started."""
    host = Host("sendmail", place, daemons=("smmta", "smmsp", "poprelay"))
    host.run("sh", "-ec", _MADE)
    unpacked = prefix("iproute2")
    program = next(found for found in ("usr/sbin/ip", "usr/bin/ip") if (unpacked / found).exists())
    script = _IP.format(prefix=unpacked, program=program)
    host.run("sh", "-ec", 'printf %s "$0" >/var/poprelay-live/ip; chmod 755 /var/poprelay-live/ip', script)
    host.run("/usr/libexec/sendmail/sendmail", "-bd", "-q10m")
    return host
