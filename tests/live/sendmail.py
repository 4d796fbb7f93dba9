"""A private Sendmail that asks an access database, made by makemap as Red Hat's sample has it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Final

from live.network import ANN4, ANN6, BOB4, BOB6, EVE4, SITE4, SITE6, free_ports, listening
from live.packages import staged
from live.running import Running

MAKEMAP: Final = "/usr/libexec/sendmail/makemap"
"""Where Debian has it; on Red Hat it is /usr/sbin/makemap."""

_MC: Final = """\
divert(-1)
divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.site.test')dnl
define(`QUEUE_DIR', `{place}/queue')dnl
define(`confPID_FILE', `{place}/pid')dnl
define(`STATUS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`ALIAS_FILE', `')dnl
define(`confCW_FILE', `{place}/local-host-names')dnl
define(`confSERVICE_SWITCH_FILE', `{place}/service.switch')dnl
define(`confDONT_BLAME_SENDMAIL',
    `GroupWritableDirPathSafe,MapInUnsafeDirPath,ClassFileInUnsafeDirPath,TrustStickyBit')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
define(`confTO_IDENT', `0')dnl
define(`confREFUSE_LA', `999')dnl
define(`confQUEUE_LA', `999')dnl
define(`confDELIVERY_MODE', `queueonly')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`accept_unresolvable_domains')dnl
define(`confCR_FILE', `-o {place}/relay-domains')dnl
FEATURE(`access_db', `hash -o -T<TMPF> {place}/access')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port={port}')dnl
DAEMON_OPTIONS(`Family=inet6, Name=MTA6, Port={port}, Addr={site6}')dnl
MAILER(`smtp')dnl
{local}
"""


_HOSTS: Final = f"""\
127.0.0.1 localhost
{SITE4} mx.site.test mx
{SITE6} mx.site.test mx
{ANN4} ann.example
{BOB4} bob.example
{ANN6} ann.example
{BOB6} bob.example
{EVE4} eve.example
"""
"""A client without a name would be refused for that, and only for now."""


class Sendmail:
    """sendmail in the foreground, all below `place`.

    `access` is the file whose database it asks, if that is there when it starts; `relay_domains` is the file that it
    reads when it starts; `local` ends its m4 config.
    """

    def __init__(self, place: Path, *, local: str = "") -> None:
        place.mkdir()
        (self.port,) = free_ports(1)
        self.access = place / "access"
        self.relay_domains = place / "relay-domains"
        self.makemap = place / "makemap"
        (place / "queue").mkdir(mode=0o700)
        (place / "local-host-names").write_text("site.test\n")
        (place / "service.switch").write_text("hosts files\n")
        (place / "hosts").write_text(_HOSTS)
        (place / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (place / "sendmail.mc").write_text(_MC.format(place=place, port=self.port, site6=SITE6, local=local))
        self._config = self._configured(place)
        command = shlex.join(staged("sendmail", MAKEMAP, "-C", self._config))
        self.makemap.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        self.makemap.chmod(0o755)
        self._place = place
        self._running: Running | None = None

    def start(self) -> None:
        """Start it."""
        # it looks itself up before it reads its config, by DNS if it must, and sleeps for a minute over a bare name
        own = 'hostname mx.site.test; for f in hosts resolv.conf; do mount --bind $1/$f /etc/$f; done; shift; exec "$@"'
        named = ["unshare", "--uts", "sh", "-euc", own, "sendmail", str(self._place)]
        daemon = ["/usr/libexec/sendmail/sendmail", "-C", str(self._config), "-bD"]
        self._running = Running("Sendmail", staged("sendmail", *named, *daemon), output=self._place / "printed")
        self._running.ready(lambda: listening(self.port))

    @property
    def pid(self) -> int:
        """Whom SIGHUP makes start anew."""
        assert self._running is not None
        return self._running.pid

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()

    def _configured(self, place: Path) -> Path:
        macros = "/usr/share/sendmail/cf"
        command = staged("sendmail", "m4", f"-D_CF_DIR_={macros}/", f"{macros}/m4/cf.m4", place / "sendmail.mc")
        config = place / "sendmail.cf"
        config.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
        return config
