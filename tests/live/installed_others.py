"""OpenSMTPD and Courier as Debian installs them, and qmail's place under tcpserver, for `setup` and `doctor`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from live.host import Host
from live.opensmtpd import PREPARE
from live.packages import prefix
from live.tcpserver import SMTPD

_SMTPD: Final = """
sed -i 's/^# match from any for domain "example.org"/match from any for domain "site.test"/' /etc/smtpd.conf
echo mx.site.test >/etc/mailname
printf 'lookup file\\nnameserver 127.0.0.1\\n' >/etc/resolv.conf
touch /etc/aliases
"""

_COURIER: Final = """
mount -t tmpfs tmpfs /media
mkdir /media/up /media/work
mount -t overlay overlay -o lowerdir=/usr,upperdir=/media/up,workdir=/media/work /usr
ln -sf makedat.courier /usr/bin/makedat
ln -sf lockmail.courier /usr/bin/lockmail
chown courier:courier /usr/lib/courier/courier/submitmkdir
chmod 4755 /usr/lib/courier/courier/submitmkdir
mkdir -p /run/courier /var/lib/courier/tmp /var/lib/courier/msgs /var/lib/courier/msgq
chown -R courier:courier /var/lib/courier /run/courier
chmod 755 /var/lib/courier
chmod 770 /var/lib/courier/tmp
echo nameserver 127.0.0.1 >/etc/resolv.conf
cd /etc/courier
echo mx.site.test >me
echo mx.site.test >defaultdomain
echo localhost >locals
echo site.test >esmtpacceptmailfor.dir/site
touch aliases/system
sed -i 's/^BOFHCHECKDNS=.*/BOFHCHECKDNS=0/; s/^TARPIT=.*/TARPIT=0/; s/-noidentlookup/& -nodnslookup/' esmtpd
makeacceptmailfor
makealiases
makesmtpaccess
esmtpd start
"""

_QMAIL: Final = """
mkdir -p /etc/service/qmail-smtpd
cat >/etc/tcp.smtp <<'E'
127.:allow,RELAYCLIENT=""
:allow,QMAILQUEUE="/var/qmail/bin/qmail-scan"
E
tcprules /etc/tcp.smtp.cdb /etc/tcp.smtp.tmp </etc/tcp.smtp
cat >/etc/service/qmail-smtpd/run <<'E'
#!/bin/sh
exec tcpserver -HRl0 -x /etc/tcp.smtp.cdb \\
    0 25 /var/qmail/bin/qmail-smtpd
E
chmod 755 /etc/service/qmail-smtpd/run
"""


def opensmtpd(place: Path, stopping: ExitStack) -> Host:
    """Debian's own OpenSMTPD with its config, but for one domain of the site's, started."""
    host = Host("opensmtpd", place, daemons=("opensmtpd", "opensmtpq", "poprelay"))
    stopping.callback(host.stop)
    host.run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={prefix('iproute2')}/usr:/usr", "/usr")
    host.run("sh", "-ec", f"{_SMTPD}{PREPARE}/etc/init.d/opensmtpd start")
    return host


def courier(place: Path, stopping: ExitStack) -> Host:
    """Debian's own Courier with its config, but that it asks no name server and is not slow to refuse, started."""
    host = Host("courier-esmtp", place, daemons=("courier", "poprelay"))
    stopping.callback(host.stop)
    host.run("sh", "-ec", _COURIER)
    return host


def qmail(place: Path, stopping: ExitStack) -> Host:
    """tcpserver as a qmail's run script begins it, started, with something in the place of qmail-smtpd."""
    host = Host("tcpserver", place, daemons=("poprelay",))
    stopping.callback(host.stop)
    host.run("mkdir", "-p", "/var/qmail/bin")
    host.run("sh", "-c", 'printf %s "$0" >"$1"; chmod 755 "$1"', SMTPD, "/var/qmail/bin/qmail-smtpd")
    host.run("sh", "-ec", _QMAIL)
    stopping.callback(host.start("tcpserver", ["/etc/service/qmail-smtpd/run"], place / "tcpserver.log").kill)
    return host
