"""Exim as Debian installs it for an internet site, for `poprelay setup` and `doctor` to work on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from live.host import Host

_CHOSEN: Final = """
dc_eximconfig_configtype='internet'
dc_other_hostnames='site.test'
dc_local_interfaces=''
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost=''
CFILEMODE='644'
dc_use_split_config='{split}'
dc_hide_mailname=''
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
"""
_MADE: Final = """
echo site.test >/etc/mailname
echo nameserver 127.0.0.1 >/etc/resolv.conf
cd /etc/exim4
chown root:Debian-exim passwd.client
mkdir -p /var/spool/exim4/input /var/spool/exim4/msglog /var/spool/exim4/db /var/log/exim4 /run/exim4
chown -R Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4 /run/exim4
chmod 750 /var/spool/exim4 /run/exim4
update-exim4.conf
"""


_SINGLE: Final = """
cd /usr/share/doc/exim4-base/examples
sed 's/^domainlist local_domains = @/& : site.test/' example.conf >/etc/exim4/exim4.conf
"""
"""Exim's own example, which is what Red Hat and most others have, with small changes."""


def exim(place: Path, form: str = "split") -> Host:
    """Debian's own Exim, started; its config `split` into many files, a `template`, or `single`."""
    host = Host("exim", place, daemons=("Debian-exim", "poprelay"))
    chosen = _CHOSEN.format(split=str(form == "split").lower())
    host.run("sh", "-c", f"cat >/etc/exim4/update-exim4.conf.conf <<'E'{chosen}E\n")
    host.run("sh", "-ec", _MADE)
    if form == "single":
        host.run("sh", "-ec", _SINGLE)
    host.run("/usr/sbin/exim4", "-bd", "-q30m")
    return host
