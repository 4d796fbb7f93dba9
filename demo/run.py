"""`make run`: the main job, live, with nothing installed.

Writes a mail log as a small Dovecot and Postfix host would, starts the real daemon on it (embedded ledger, lmdb map,
socketmap), and shows who may relay until Ctrl-C. Everything lies in `.cache/demo`.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / ".cache" / "demo"
POPRELAY = Path(sys.executable).with_name("poprelay")
PERIOD = 30

CONFIG = f"""\
[relay]
period = "{PERIOD}s"

[[sources]]
kind = "file"
path = "{HERE}/mail.log"
agents = ["dovecot"]

[[maps]]
kind = "lmdb"
path = "{HERE}/relay.lmdb"

[[services]]
kind = "socketmap"
listen = "unix:{HERE}/socketmap"

[ledger]
path = "{HERE}/ledger.db"

[control]
listen = "unix:{HERE}/control.sock"
"""

USERS = ("ann", "bob", "carol", "printer-2", "scanner", "dave@example.org", "erin", "alarm")
CLIENTS = ("9.9.9.9", "8.8.4.4", "1.0.0.1", "2606:4700:4700::1111", "2001:4860:4860::8844", "64.6.64.6", "4.2.2.1")
NOISE = (
    "postfix/smtpd[811]: connect from unknown[{address}]",
    "postfix/smtpd[811]: NOQUEUE: reject: RCPT from unknown[{address}]: 554 5.7.1 <a@example.net>: Relay access denied",
    (
        "dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<{user}>, "
        "method=PLAIN, rip={address}, lip=192.0.2.25, TLS, session=<{session}>"
    ),
    (
        "dovecot: pop3-login: Disconnected: Aborted login by logging out (auth failed, 1 attempts in 0 secs): "
        "user=<x>, method=PLAIN, rip=6.6.6.6, lip=192.0.2.25, mpid=1, session=<AAAA>>, method=PLAIN, rip={address}, "
        "lip=192.0.2.25, session=<{session}>"
    ),
)
LOGIN = (
    "dovecot: {service}-login: Login: user=<{user}>, method=PLAIN, rip={address}, lip=192.0.2.25, mpid={pid}, TLS, "
    "session=<{session}>"
)


def main() -> int:
    """Run the show; 0 when it was ended in order."""
    parser = argparse.ArgumentParser(description="The main job, live, on a log that is being written.")
    parser.add_argument("--seconds", type=float, default=None, help="end by itself after so long")
    seconds = parser.parse_args().seconds
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    (HERE / "poprelay.toml").write_text(CONFIG)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the daemon is stopped whatever ends us
    with (HERE / "mail.log").open("a", buffering=1) as log, (HERE / "daemon.log").open("w") as said:
        daemon = subprocess.Popen([POPRELAY, "run", "-c", HERE / "poprelay.toml"], stderr=said)
        writer = threading.Thread(target=_write, args=(log, over))
        writer.start()
        try:
            return _watch(daemon, seconds)
        finally:
            over.set()
            writer.join()
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()


def _watch(daemon: subprocess.Popen[bytes], seconds: float | None) -> int:
    config = (HERE / "poprelay.toml").relative_to(ROOT)
    print(f"A login opens the relay for {PERIOD} seconds; then it closes.")
    print(f"The log being read: {HERE.relative_to(ROOT)}/mail.log")
    print("From a second terminal:")
    for question in ("list", f"explain {CLIENTS[0]}", "status", "history", f"revoke --address {CLIENTS[0]} --deny 1h"):
        print(f"  .venv/bin/poprelay {question} -c {config}")
    print("Ctrl-C ends it.\n", flush=True)
    while not (HERE / "control.sock").exists():
        if daemon.poll() is not None:
            print((HERE / "daemon.log").read_text(), file=sys.stderr)
            return 1
        time.sleep(0.02)
    watch = subprocess.Popen([POPRELAY, "watch", "-c", HERE / "poprelay.toml"])
    try:
        watch.wait(seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        watch.send_signal(signal.SIGINT)
        with contextlib.suppress(KeyboardInterrupt):
            watch.wait()
    return 0


def _write(log: TextIO, over: threading.Event) -> None:
    """Fresh lines every second or two: mostly other traffic, a login each time."""
    dice = random.Random(7)  # noqa: S311 - a show, not a secret
    while not over.wait(dice.uniform(0.2, 1.2)):
        for line in (*dice.sample(NOISE, dice.randint(0, 2)), LOGIN):
            text = line.format(
                user=dice.choice(USERS),
                address=dice.choice(CLIENTS),
                service=dice.choice(("imap", "pop3")),
                pid=dice.randint(300, 9999),
                session=f"{dice.getrandbits(60):x}",
            )
            print(datetime.now().astimezone().strftime("%b %e %H:%M:%S"), "mx1", text, file=log)


if __name__ == "__main__":
    sys.exit(main())
