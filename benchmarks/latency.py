"""How long a login takes to open the relay: from the line's write() to Postfix's 250 in an open session, over lmdb.

    .venv/bin/python benchmarks/latency.py

Real Postfix, the real daemon; needs root, and the packages of the live tests (`make setup`). For each login a session
is open from an address that was never seen; the line is written; RCPT is repeated until it is accepted; one round trip
of RCPT is subtracted. The disk's fsync, of which a login needs one or two, stands beside it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from live.clients import Smtp
from live.daemon import Poprelay
from live.network import Loopback, Network
from live.postfix import Postfix, asking
from report import Topic, quick

MEDIAN: Final = 0.010
PERCENTILE_99: Final = 0.050

SETTINGS: Final = """
[relay]
period = "1h"
allow_networks = ["127.0.0.0/8"]
exclude_networks = []
[[sources]]
kind = "file"
path = "{log}"
agents = ["dovecot"]
[[maps]]
kind = "lmdb"
path = "{place}/relay.lmdb"
"""


def main() -> int:
    logins = 100 if quick() else 500
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latency-")))
        place.chmod(0o755)
        stack.enter_context(Network())
        log = place / "mail.log"
        log.touch()
        poprelay = Poprelay(place / "poprelay", SETTINGS.format(log=log, place=place))
        poprelay.start()
        stack.callback(poprelay.stop)
        postfix = Postfix(place / "postfix", {"lmdb": asking(f"check_client_access lmdb:{place}/relay")})
        stack.callback(postfix.stop)
        postfix.start()
        syncs = sorted(fsync(place / "fsync") for _ in range(logins))
        took = sorted(measure(number, log, postfix.ports["lmdb"]) for number in range(logins))

    topic = Topic(
        "latency",
        "How long a login takes to open the relay",
        f"{logins} logins: from the line's write() to Postfix's 250 in an open session, over lmdb, less one round trip "
        "of RCPT. Mail::POPRelay takes 2 to 3 s, pop-before-smtp 5 to 10 s, by their own intervals.",
    )
    topic.add("login to relay", [seconds * 1000 for seconds in took], "ms", at_most=MEDIAN * 1000)
    topic.add("the same, 99th percentile", took[int(len(took) * 0.99)] * 1000, "ms", at_most=PERCENTILE_99 * 1000)
    topic.add("fsync of 4 KiB on this disk", [seconds * 1000 for seconds in syncs], "ms")
    topic.add("the same, 99th percentile", syncs[int(len(syncs) * 0.99)] * 1000, "ms")
    topic.add("login to relay / fsync", statistics.median(took) / statistics.median(syncs), "times")
    topic.keep()
    return 0


def measure(number: int, log: Path, port: int) -> float:
    """Seconds from the write of one login's line to the 250, less one round trip of RCPT."""
    address = f"127.0.{number // 250 + 1}.{number % 250 + 1}"
    with Smtp(Loopback().connect(address, port)) as session:
        assert session.ask().code == 554
        trip = min(_timed(session) for _ in range(5))
        began = time.perf_counter()
        _write(log, f"user{number}", address)
        while session.ask_again().code != 250:
            assert time.perf_counter() - began < 10, "the login was never seen"
            time.sleep(0.0002)
        return time.perf_counter() - began - trip


def fsync(path: Path) -> float:
    """Seconds for one write and fsync of 4 KiB."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        began = time.perf_counter()
        os.write(descriptor, b"x" * 4096)
        os.fsync(descriptor)
        return time.perf_counter() - began
    finally:
        os.close(descriptor)


def _timed(session: Smtp) -> float:
    began = time.perf_counter()
    session.ask_again()
    return time.perf_counter() - began


def _write(log: Path, user: str, address: str) -> None:
    """Append one line as Dovecot 2.3 has syslog write it, in one write()."""
    stamp = time.strftime("%b %e %H:%M:%S")
    login = f"user=<{user}>, method=PLAIN, rip={address}, lip=127.0.0.1, mpid=1, TLS, session=<{user}/AAAB>"
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{stamp} mx dovecot: pop3-login: Login: {login}\n".encode())
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
