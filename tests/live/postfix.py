"""A private Postfix: one instance, and one smtpd on a port of its own for each way of asking poprelay."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from live.network import free_ports, listening
from live.packages import staged
from live.running import Running

OWNER, SETGID = "news", "uucp"
"""Accounts that every Debian has, in the place of postfix and postdrop."""


class Door(NamedTuple):
    """How one smtpd decides: the whole of its relay restrictions, and whether it runs in its chroot."""

    restrictions: str
    chroot: bool = False


def asking(lookup: str, *, chroot: bool = False) -> Door:
    """The recommended restrictions, with `lookup` as the question to poprelay."""
    return Door(
        f"permit_mynetworks, permit_sasl_authenticated, permit_auth_destination, {lookup}, reject_unauth_destination",
        chroot,
    )


_MAIN = """
compatibility_level = 3.6
queue_directory = {place}/queue
data_directory = {place}/data
meta_directory = {place}/etc
mail_owner = {owner}
setgid_group = {setgid}
default_privs = nobody
maillog_file = {place}/maillog
maillog_file_prefixes = {place}
myhostname = mx.site.test
mydomain = site.test
mydestination = site.test
inet_interfaces = all
inet_protocols = all
mynetworks = {mynetworks}
local_recipient_maps =
alias_maps =
alias_database =
default_transport = discard:
local_transport = discard:
relay_domains =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject
smtpd_recipient_restrictions =
disable_dns_lookups = yes
in_flow_delay = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 100000
smtpd_soft_error_limit = 100000
smtpd_junk_command_limit = 100000
smtpd_client_connection_count_limit = 0
"""

_TABLES = """\
lmdb\tpostfix-lmdb.so\tdict_lmdb_open\tmkmap_lmdb_open
cdb\tpostfix-cdb.so\tdict_cdb_open\tmkmap_cdb_open
sqlite\tpostfix-sqlite.so\tdict_sqlite_open
"""

_MASTER = """
pickup    unix  n  -  n  60   1  pickup
cleanup   unix  n  -  n  -    0  cleanup
qmgr      unix  n  -  n  300  1  qmgr
rewrite   unix  -  -  n  -    -  trivial-rewrite
bounce    unix  -  -  n  -    0  bounce
defer     unix  -  -  n  -    0  bounce
trace     unix  -  -  n  -    0  bounce
verify    unix  -  -  n  -    1  verify
proxymap  unix  -  -  n  -    -  proxymap
error     unix  -  -  n  -    -  error
discard   unix  -  -  n  -    -  discard
anvil     unix  -  -  n  -    1  anvil
postlog   unix-dgram n - n -  1  postlogd
"""


class Postfix:
    """master(8) in the foreground, all below `place`; `ports` says where each door is.

    A unix socket for smtpd lies below `queue`, and is named relative to it: `unix:poprelay/socketmap`. `programs` is a
    folder for PATH in which `postconf` asks this Postfix, `postmap` makes maps for it, and `postfix reload` reloads it.
    `settings` are further lines of main.cf.
    """

    def __init__(
        self,
        place: Path,
        doors: Mapping[str, Door],
        *,
        mynetworks: str = "127.255.255.254/32",
        settings: str = "",
    ) -> None:
        place.mkdir()
        self.queue = place / "queue"
        self.sockets = self.queue / "poprelay"
        self.log = place / "maillog"
        self.ports = dict(zip(doors, free_ports(len(doors)), strict=True))
        self._directories(place)
        main = place / "etc/main.cf"
        main.write_text(_MAIN.format(place=place, owner=OWNER, setgid=SETGID, mynetworks=mynetworks) + settings)
        os.utime(main, (0, 0))  # a main.cf of the last second is taken for one that is being written, and waited for
        (place / "etc/dynamicmaps.cf").write_text(_TABLES)
        services = [
            f"{self.ports[name]} inet n - {'y' if door.chroot else 'n'} - - smtpd\n"
            f"    -o {{ smtpd_relay_restrictions = {door.restrictions} }}\n"
            for name, door in doors.items()
        ]
        (place / "etc/master.cf").write_text("".join(services) + _MASTER)
        self.programs = place / "programs"
        self.programs.mkdir()
        for name in ("postconf", "postmap"):
            self._program(name, f'exec {shlex.join(staged("postfix", f"/usr/sbin/{name}", "-c", place / "etc"))} "$@"')
        self._program("postfix", f'[ ! -e {place}/pid ] || kill -HUP "$(cat {place}/pid)"')
        self._place = place
        self._running: Running | None = None

    def start(self) -> None:
        """Start it; the maps that its doors name must be there, or smtpd defers for as long as it lives."""
        command = staged("postfix", "/usr/lib/postfix/sbin/master", "-c", self._place / "etc", "-d")
        self._running = Running("Postfix", command, output=self._place / "printed")
        self._running.ready(lambda: all(map(listening, self.ports.values())))
        (self._place / "pid").write_text(f"{self._running.pid}\n")

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()

    def _program(self, name: str, does: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)

    def _directories(self, place: Path) -> None:
        for name in ("etc", "data", "queue", "queue/pid", "queue/poprelay"):
            (place / name).mkdir()
        shutil.chown(place / "data", OWNER)
        names = "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace"
        for name in names.split():
            folder = self.queue / name
            folder.mkdir(mode=0o700)
            shutil.chown(folder, OWNER, SETGID if name in ("public", "maildrop") else None)
        (self.queue / "public").chmod(0o710)
        (self.queue / "maildrop").chmod(0o730)
