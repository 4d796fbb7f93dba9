"""A poprelay that keeps maps for an MTA, and a log that the test itself writes; and root's part, if it needs that."""

from __future__ import annotations

import itertools
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from live.daemon import Poprelay
from live.running import Running

PERIOD: Final = 3.0
"""Seconds that a login lets an address relay in these tests; its stamp is a whole second."""

_LINE: Final = (
    "{stamp} mx dovecot: pop3-login: Login: user=<{user}>, method=PLAIN, rip={address}, lip=9.9.9.9, mpid={pid}\n"
)
_WATCH: Final = """\
cd "$1"
while :; do
    for request in requests/*.request; do
        if [ -e "$request" ]; then "$2" root-commands --list "$3" --directory "$1" || :; fi
    done
    sleep 0.02
done
"""


class Fed:
    """The daemon with `maps`, as its config has them, following a log that `log_in` writes."""

    def __init__(self, place: Path, maps: str, stack: ExitStack, *, period: float = PERIOD, rules: str = "") -> None:
        self.log = place / "maillog"
        self.log.touch()
        self._pids = itertools.count(100)
        written = (
            f'[relay]\nperiod = "{period:g}s"\nexclude_networks = []\nmax_addresses_per_user = 1000\n{rules}\n'
            f'[[sources]]\nkind = "file"\npath = "{self.log}"\nagents = ["dovecot"]\n{maps}'
        )
        self.poprelay = Poprelay(place / "poprelay", written)
        stack.callback(lambda: self.poprelay.running and self.poprelay.stop())

    def start(self) -> None:
        """Have it run, and its maps made."""
        self.poprelay.start()
        self.poprelay.settled()

    def log_in(self, address: str, user: str = "ann") -> None:
        line = _LINE.format(stamp=time.strftime("%b %d %H:%M:%S"), user=user, address=address, pid=next(self._pids))
        with self.log.open("a") as lines:
            lines.write(line)

    def revoke(self, address: str) -> None:
        revoked = self.poprelay.run("revoke", "--address", address)
        assert revoked.exit == 0, revoked


def root_part(place: Path, commands: str, stack: ExitStack) -> Path:
    """Root's part with these commands, watching as systemd's path unit does; the directory where it is asked."""
    directory = place / "root-part"
    (directory / "requests").mkdir(parents=True)
    written = place / "root.toml"
    written.write_text(f'user = "root"\n{commands}')
    program = Path(sys.executable).with_name("poprelay")
    watch = ["sh", "-c", _WATCH, "watch", str(directory), str(program), str(written)]
    running = Running("root's part", watch, output=place / "root-part.log")
    stack.callback(running.kill)
    return directory
