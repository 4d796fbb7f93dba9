"""`poprelay setup` and `doctor` on a host of the test's own."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from live.host import Host
from live.installed import poprelay

_LOGIN = "dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=8.8.4.4, lip=9.9.9.9, mpid=7, TLS, session=<abc>"


def log_in(host: Host) -> None:
    """Give it a mail log, in which somebody has logged in."""
    host.run("sh", "-c", f"date '+%b %e %T mx {_LOGIN}' >>/var/log/mail.log; chmod 644 /var/log/mail.log")


def start(host: Host, place: Path, stopping: ExitStack) -> None:
    """Have the daemon run there, as its own user."""
    host.run("sh", "-c", "mkdir -p /run/poprelay; chown poprelay /run/poprelay")
    daemon = ["setpriv", "--reuid", "poprelay", "--regid", "poprelay", "--init-groups", *poprelay("run")]
    running = host.start("poprelay", daemon, place / "poprelay.log")
    stopping.callback(running.kill)
    running.ready(lambda: host.run(*poprelay("status"), check=False).returncode == 0)


def findings(host: Host) -> tuple[int, list[dict[str, str]]]:
    """What the doctor ends with, and says."""
    done = host.run(*poprelay("doctor", "--json"), check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]
