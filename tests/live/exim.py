"""A private Exim: one daemon, and a port of its own for each way of asking poprelay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from live.network import free_ports, listening
from live.packages import staged
from live.rooted import make_root
from live.running import Running

USER: Final = "Debian-exim"
"""The account that it runs under; what it reads must be within this account's reach."""

_CONFIG: Final = """\
primary_hostname = mx.site.test
exim_user = {user}
spool_directory = {place}/spool
log_file_path = {place}/spool/%slog
pid_file_path = {place}/pid
local_interfaces = <; 0.0.0.0 ; ::0
daemon_smtp_ports = {ports}
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
smtp_accept_max = 200
smtp_accept_max_nonmail = 100000
smtp_max_unknown_commands = 100
queue_only = true
domainlist local_domains = site.test
acl_smtp_rcpt = acl_check_rcpt

begin acl

acl_check_rcpt:
  accept domains = +local_domains
{before}
{doors}
{after}
  deny message = relay not permitted

begin routers

everything:
  driver = accept
  transport = nowhere

begin transports

nowhere:
  driver = appendfile
  file = /dev/null
  user = {user}
"""


class Exim:
    """exim4 in the foreground, all below `place`; `ports` says where each door is.

    A door is what the RCPT ACL says after `accept`, such as `condition = ${if exists{/dir/$sender_host_address}}` or
    `hosts = net-iplsearch;/file`; of several lines, each is one condition. Mail for site.test asks no door.
    `before` and `after` are further statements around them.
    """

    def __init__(self, place: Path, doors: Mapping[str, str], *, before: str = "", after: str = "") -> None:
        place.mkdir()
        self.ports = dict(zip(doors, free_ports(len(doors)), strict=True))
        self._place = place
        self._root = make_root(place, daemons=(USER,))
        (place / "spool").mkdir(mode=0o777)
        (place / "spool").chmod(0o777)
        self._config = place / "exim.conf"
        self._config.write_text(
            _CONFIG.format(
                place=place,
                user=USER,
                ports=":".join(map(str, self.ports.values())),
                before=before,
                after=after,
                doors="\n".join(_accept(self.ports[name], door) for name, door in doors.items()),
            )
        )
        self._config.chmod(0o644)
        self._running: Running | None = None

    def start(self) -> None:
        """Start it; a file that a door names must be there, or RCPT is answered by 421."""
        command = staged("exim", "/usr/sbin/exim4", "-C", self._config, "-bdf", root=self._root)
        self._running = Running("Exim", command, output=self._place / "printed")
        self._running.ready(lambda: all(map(listening, self.ports.values())))

    def stop(self) -> None:
        if self._running is not None:
            self._running.kill()


def _accept(port: int, door: str) -> str:
    conditions = "\n".join(f"         {line.strip()}" for line in door.strip().splitlines())
    return f"  accept condition = ${{if eq{{$received_port}}{{{port}}}}}\n{conditions}"
