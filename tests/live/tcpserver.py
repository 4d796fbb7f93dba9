"""tcpserver, and for qmail-smtpd, which Debian does not have, a program that reads RELAYCLIENT as that does."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from live.network import SITE4, SITE6, free_ports, listening
from live.packages import staged
from live.running import Running

SMTPD: Final = r"""#!/bin/sh
# qmail-smtpd(8): with RELAYCLIENT in the environment any recipient is accepted, else those of rcpthosts
printf '220 mx.site.test ESMTP\r\n'
while read -r word rest; do
    case "$word $rest" in
    [Rr][Cc][Pp][Tt]*@site.test*) printf '250 ok\r\n' ;;
    [Rr][Cc][Pp][Tt]*)
        if [ "${RELAYCLIENT+set}" ]; then printf '250 ok\r\n'; else printf '553 not in rcpthosts (#5.7.1)\r\n'; fi ;;
    [Qq][Uu][Ii][Tt]*) printf '221 mx.site.test\r\n'; exit ;;
    *) printf '250 ok\r\n' ;;
    esac
done
"""
_START: Final = """
common="-HRl0 -c200 -x $1"
tcpserver $common SITE4 $3 $2 &
tcpserver -6 $common SITE6 $3 $2 &
exec tcpserver -6 $common 0 $4 $2
"""


class Tcpserver:
    """Several in the foreground, by the rules in `rules`, a cdb. `ports`: where IPv4 and IPv6 have one each (`two`),
    and where one serves both (`one`)."""

    def __init__(self, place: Path, rules: Path) -> None:
        place.mkdir()
        self.ports = dict(zip(("two", "one"), free_ports(2), strict=True))
        smtpd = place / "qmail-smtpd"
        smtpd.write_text(SMTPD)
        smtpd.chmod(0o755)
        start = _START.replace("SITE4", SITE4).replace("SITE6", SITE6)
        ports = map(str, self.ports.values())
        self._command = staged("tcpserver", "sh", "-c", start, "start", str(rules), str(smtpd), *ports)
        self._place = place
        self._running: Running | None = None

    def start(self) -> None:
        """Start them; without the rules they drop every connection."""
        self._running = Running("tcpserver", self._command, output=self._place / "printed")
        self._running.ready(lambda: listening(self.ports["one"]))

    def stop(self) -> None:
        if self._running is not None:
            self._running.kill()
