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


def exim(place: Path, *, split: bool = True) -> Host:
    """Debian's own Exim, started; its config in many files, or in one that the package makes into one."""
    host = Host("exim", place, daemons=("Debian-exim", "poprelay"))
    host.run("sh", "-c", f"cat >/etc/exim4/update-exim4.conf.conf <<'E'{_CHOSEN.format(split=str(split).lower())}E\n")
    host.run("sh", "-ec", _MADE)
    host.run("/usr/sbin/exim4", "-bd", "-q30m")
    return host
