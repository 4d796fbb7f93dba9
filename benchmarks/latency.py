"""How long a login takes to open the relay: from the line's write() to the MTA's 250, for each MTA.

    .venv/bin/python benchmarks/latency.py

Real MTAs, the real daemon; needs root, and the packages of the live tests (`make setup`). Of Postfix over lmdb it is
the most exact: for each login a session is open from an address that was never seen; the line is written; RCPT is
repeated until it is accepted; one round trip of RCPT is subtracted. The disk's fsync, of which a login needs one or
two, stands beside it. All others are asked in one new session after the other, so a session's time is in what is shown;
each login is the first after quiet.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from live.clients import Smtp
from live.daemon import Poprelay
from live.network import ANN4, ANN6, BOB4, BOB6, Loopback, Network
from live.postfix import Postfix, asking
from live.running import until
from live.told import EACH_KIND, Told
from report import Topic, quick

MEDIAN: Final = 0.010
PERCENTILE_99: Final = 0.050
QUIET: Final = 1.1
"""Seconds without a change before a login where the map lets one second pass between two."""
OTHERS: Final = {
    "Postfix, hash": ("postfix", 1),
    "Postfix, cdb": ("postfix", 2),
    "Postfix, sqlite": ("postfix", 3),
    "Postfix, cidr and a reload": ("postfix cidr", 0),
    "Exim, a directory": ("exim", 0),
    "Exim, iplsearch": ("exim", 1),
    "Sendmail, access database": ("sendmail", 0),
    "OpenSMTPD, a file and smtpctl": ("opensmtpd", 0),
    "OpenSMTPD, sqlite": ("opensmtpd", 1),
    "Courier, makesmtpaccess": ("courier", 0),
    "tcpserver, tcprules": ("tcpserver", 0),
}
"""By which way of the live tests each is told, and which of its ports asks."""

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
        "of RCPT. Mail::POPRelay takes 2 to 3 s, pop-before-smtp 5 to 10 s, by their own intervals. Then the other "
        "maps and MTAs: to the 250 in a new session, of which each has to wait for the one before.",
    )
    topic.add("login to relay", [seconds * 1000 for seconds in took], "ms", at_most=MEDIAN * 1000)
    topic.add("the same, 99th percentile", took[int(len(took) * 0.99)] * 1000, "ms", at_most=PERCENTILE_99 * 1000)
    topic.add("fsync of 4 KiB on this disk", [seconds * 1000 for seconds in syncs], "ms")
    topic.add("the same, 99th percentile", syncs[int(len(syncs) * 0.99)] * 1000, "ms")
    topic.add("login to relay / fsync", statistics.median(took) / statistics.median(syncs), "times")
    for name, (way, at) in OTHERS.items():
        topic.add(name, [seconds * 1000 for seconds in measure_other(EACH_KIND[way], at, 1 if quick() else 3)], "ms")
    topic.keep()
    return 0


def measure_other(way: Callable[[Path, Network, ExitStack], Told], at: int, rounds: int) -> list[float]:
    """Seconds from the write of a login's line to the 250 at the port of that number, for so many rounds of clients."""
    found: list[float] = []
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latency-", ignore_cleanup_errors=True)))
        place.chmod(0o755)
        told = way(place, stack.enter_context(Network()), stack)
        port, config = (told.port, *told.more)[at], told.fed.poprelay.config.read_text()
        for _ in range(rounds):
            for address in (ANN4, ANN6, BOB4, BOB6):
                assert told.code_at(port, address) == told.refuses
                time.sleep(QUIET if 'interval = "1s"' in config else 0.1)
                began = time.perf_counter()
                told.fed.log_in(address)
                while told.code_at(port, address) != 250:
                    assert time.perf_counter() - began < 10, "the login was never seen"
                found.append(time.perf_counter() - began)
                told.fed.revoke(address)
                until(lambda address=address: told.code_at(port, address) == told.refuses)  # type: ignore[misc]
            time.sleep(QUIET)  # a revocation beats the logins of its second
    return found


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
