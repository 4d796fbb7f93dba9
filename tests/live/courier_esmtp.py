"""A private Courier: its couriertcpd with courieresmtpd, which reads the database that makesmtpaccess makes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from live.network import SITE4, SITE6, free_ports, listening
from live.packages import staged
from live.rooted import make_root
from live.running import Running

_START: Final = """\
cd /etc/courier
for file in makesmtpaccess makeacceptmailfor makealiases; do
    cp /usr/lib/courier/$file /run/$file
done
# what Debian makes when it installs the package, in a folder that can be written
mkdir -p /run/bin /run/courier /var/lib/courier/tmp /var/lib/courier/msgs /var/lib/courier/msgq
cp /usr/lib/courier/courier/submitmkdir /run/submitmkdir
chown courier:courier /run/submitmkdir
chmod 4755 /run/submitmkdir
mount --bind /run/submitmkdir /usr/lib/courier/courier/submitmkdir
chown -R courier:courier /var/lib/courier /run/courier
chmod 755 /var/lib/courier
chmod 770 /var/lib/courier/tmp
echo mx.site.test >me
echo mx.site.test >defaultdomain
echo localhost >locals
mkdir -p esmtpacceptmailfor.dir aliases smtpaccess aliasdir
echo site.test >esmtpacceptmailfor.dir/site
touch aliases/system
mount --bind ACCESS smtpaccess
echo '192.0.2.99\tallow,RELAYCLIENT' >smtpaccess/default
sed -i 's/^BOFHCHECKDNS=.*/BOFHCHECKDNS=0/; s/^TARPIT=.*/TARPIT=0/' esmtpd
mount -t tmpfs tmpfs /media
mkdir /media/up /media/work
mount -t overlay overlay -o lowerdir=/usr,upperdir=/media/up,workdir=/media/work /usr
for file in makesmtpaccess makeacceptmailfor; do ln -sf ../lib/courier/$file /usr/sbin/$file; done
ln -sf makedat.courier /usr/bin/makedat
ln -sf lockmail.courier /usr/bin/lockmail
makeacceptmailfor
/usr/lib/courier/makealiases
makesmtpaccess || true
set -a
prefix=/usr exec_prefix=/usr bindir=/usr/bin sbindir=/usr/sbin libexecdir=/usr/lib/courier sysconfdir=/etc/courier
. /etc/courier/esmtpd
set +a
exec /usr/sbin/couriertcpd -noidentlookup -nodnslookup -pid=$PIDFILE -maxprocs=400 -maxperc=400 -maxperip=400 \
    -access=/etc/courier/smtpaccess.dat -user=courier -group=courier PORT /usr/sbin/courieresmtpd
"""


class CourierEsmtp:
    """couriertcpd with a root of its own below `place`.

    `access` is the folder from which `makesmtpaccess`, a program, makes what it reads.
    """

    def __init__(self, place: Path) -> None:
        place.mkdir()
        (self.port,) = free_ports(1)
        self._place = place
        self._root = make_root(place, daemons=("courier",))
        self.access = place / "smtpaccess"
        self.access.mkdir()
        self.makesmtpaccess = place / "makesmtpaccess"
        self._running: Running | None = None

    def start(self) -> None:
        script = self._place / "start"
        addresses = ",".join(f"{address}.{self.port}" for address in ("127.0.0.1", SITE4, SITE6))
        script.write_text(_START.replace("ACCESS", str(self.access)).replace("PORT", addresses))
        command = staged("courier-esmtp", "sh", "-e", script, root=self._root)
        self._running = Running("Courier", command, output=self._place / "printed")
        inside = f"nsenter -m -p -t $(pgrep -P {self._running.pid} | head -1)"
        self.makesmtpaccess.write_text(f'#!/bin/sh\nexec {inside} /usr/sbin/makesmtpaccess "$@"\n')
        self.makesmtpaccess.chmod(0o755)
        self._running.ready(lambda: listening(self.port))

    def stop(self) -> None:
        if self._running is not None:
            self._running.kill()
