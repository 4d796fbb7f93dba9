"""A private OpenSMTPD: one smtpd, and a port of its own for each table by which it asks poprelay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from live.network import SITE4, SITE6, free_ports, listening
from live.packages import staged
from live.rooted import make_root
from live.running import Running

ACCOUNTS: Final = ("opensmtpd", "opensmtpq")
"""Those that it runs under; what its tables read must be within their reach."""

_CONFIG: Final = """\
{tables}
{listens}
action "relay" relay
action "local" mbox
{matches}
match from any for domain "site.test" action "local"
"""

PREPARE: Final = """\
cd /run
mkdir -p /var/spool/smtpd /var/empty /var/lib/opensmtpd/empty
chmod 711 /var/spool/smtpd
cp /usr/sbin/smtpctl /run/smtpctl
chgrp opensmtpq /run/smtpctl
chmod 2555 /run/smtpctl
mount --bind /run/smtpctl /usr/sbin/smtpctl
"""
"""What Debian makes when it installs the package, in places that can be written."""


class Opensmtpd:
    """smtpd in the foreground, with a root of its own below `place`; `ports` says where each door is.

    A door is what stands after the table's name in smtpd.conf, such as `file:/path`; its name is the table's.
    `smtpctl` is a program that speaks to this smtpd, once it runs.
    """

    def __init__(self, place: Path, doors: Mapping[str, str]) -> None:
        place.mkdir()
        self.ports = dict(zip(doors, free_ports(len(doors)), strict=True))
        self._place = place
        self._root = make_root(place, users=("someone",), daemons=ACCOUNTS)
        config = _CONFIG.format(
            tables="\n".join(f"table {name} {door}" for name, door in doors.items()),
            listens="\n".join(
                f"listen on {address} port {port} tag {name.upper()}"
                for name, port in self.ports.items()
                for address in ("127.0.0.1", SITE4, SITE6)
            ),
            matches="\n".join(f'match tag {name.upper()} from src <{name}> for any action "relay"' for name in doors),
        )
        (self._root / "etc/smtpd.conf").write_text(config)
        (self._root / "etc/resolv.conf").write_text("lookup file\nnameserver 127.0.0.1\n")  # it asks by itself
        (self._root / "etc/mailname").write_text("mx.site.test\n")
        self.smtpctl = place / "smtpctl"
        self._running: Running | None = None

    def start(self) -> None:
        """Start it; a file that a door names must be there, or it ends at once."""
        script = self._place / "start"
        script.write_text(f"{PREPARE}exec /usr/sbin/smtpd -d\n")
        command = staged("opensmtpd", "sh", "-e", script, root=self._root)
        self._running = Running("OpenSMTPD", command, output=self._place / "printed")
        self.smtpctl.write_text(f'#!/bin/sh\nexec nsenter -m -t {self._running.pid} /usr/sbin/smtpctl "$@"\n')
        self.smtpctl.chmod(0o755)
        self._running.ready(lambda: all(map(listening, self.ports.values())))

    def stop(self) -> None:
        if self._running is not None:
            self._running.kill()
