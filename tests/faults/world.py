"""A mail host that things happen to: a log that is written all the time, a daemon, probes, and a model of the truth.

The model knows of each address from when to when it may be found allowed, at most, and from when it must be. Probes ask
the map and the service all the time; what they were told is held against the model at once, with a second's grace.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

from live.daemon import Poprelay
from live.running import until

PERIOD: Final = 12.0
"""Seconds that a login lets an address relay here."""
GRACE: Final = 1.0
"""Seconds for which an address may be found allowed that must not be any more."""
RATE: Final = 40.0
"""Logins a second."""

_CONFIG: Final = """
[relay]
period = "{period:g}s"
exclude_networks = []
{relay}
[[sources]]
kind = "file"
path = "{log}"
agents = ["dovecot"]
[[maps]]
kind = "lmdb"
path = "{state}/relay.lmdb"
[[services]]
kind = "socketmap"
listen = "unix:{place}/s"
[[services]]
kind = "policy"
listen = "unix:{place}/p"
"""
_LINES: Final = (
    "imap-login: Login: user=<{user}>, method=PLAIN, rip={address}, lip=9.9.9.9, mpid=7, TLS, session=<{session}>",
    "pop3-login: Login: user=<{user}>, method=PLAIN, rip={address}, lip=9.9.9.9, mpid=7, session=<{session}>",
    "imap-login: Logged in: user=<{user}>, method=PLAIN, rip={address}, lip=9.9.9.9, mpid=7, TLS, session=<{session}>",
)
_READER: Final = """
import json, lmdb, sys
for _ in sys.stdin:
    try:
        with lmdb.open(sys.argv[1], subdir=False, lock=False, readonly=True, create=False, map_size=1 << 30) as opened:
            with opened.begin() as transaction:
                keys = [bytes(key).rstrip(b"\\0").decode() for key in transaction.cursor().iternext(values=False)]
    except (lmdb.Error, OSError):
        keys = []
    print(json.dumps(keys), flush=True)
"""
"""Reads the map when it is asked, in a process of its own: reading a damaged file may kill."""
_FAILED: Final = (
    "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<Login: user=<x>, method=PLAIN, rip={address}, "
    "lip=9.9.9.9, mpid=7>, method=PLAIN, rip=208.67.222.222, lip=9.9.9.9, session=<x>"
)


class Login:
    """One address that has logged in once: when its line was written, and until when at most it may relay."""

    __slots__ = ("address", "must", "until", "written")

    def __init__(self, address: str, now: float) -> None:
        self.address = address
        self.written = now
        self.until = now + PERIOD
        self.must = True
        """Whether it has to be seen; not if its line is gone, or an order has closed it."""


class World:
    """All of it. `state` is where ledger and map lie; `offset` is how far the host's clock is set ahead of ours."""

    def __init__(self, place: Path, *, relay: str = "", rate: float = RATE, path: str = "") -> None:
        self.place = place
        self.state = place / "state"
        self.state.mkdir(exist_ok=True)
        self.logs = place / "logs"
        self.logs.mkdir(exist_ok=True)
        self.log = self.logs / "mail.log"
        self.log.touch()
        config = _CONFIG.format(period=PERIOD, log=self.log, place=place, state=self.state, relay=relay)
        self.poprelay = Poprelay(place / "d", config, path=path, ledger=self.state / "private" / "ledger.db")
        (self.state / "private").mkdir(exist_ok=True)
        self.chance = random.Random(7)
        self.wrong: list[str] = []
        """What was answered wrongly, in words."""
        self.asked = 0
        self.grace = GRACE
        self.offset = 0.0
        self.traditional: tzinfo | None = None
        """The zone of stamps without year and zone; None: they say all."""
        self.clock = place / "clock"
        """The file by which libfaketime sets the daemon's clock."""
        self.logins: dict[str, Login] = {}
        self.muzzled = threading.Event()
        """Set while nobody judges the map: it outlives the daemon, and only the cleanup timer empties it then."""
        self._rate = rate
        self._numbers = itertools.count()
        self._writing = threading.Lock()
        self._asking = threading.Lock()
        self._reader: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=work.__name__, daemon=True)
            for work in (self._write, self._probe_service, self._probe_map)
        ]

    # what happens all the time

    def begin(self) -> None:
        """Start the daemon, the writer and the probes."""
        self.poprelay.start()
        self.poprelay.settled()
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop all of it; the daemon must end well."""
        self._ended.set()
        for thread in self._threads:
            thread.join(10)
        self._close_reader()
        if self.poprelay.running:
            assert self.poprelay.stop() == 0

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """While this lasts nothing is written."""
        with self._writing:
            yield

    def log_in(self, *, within: str = "{}") -> Login:
        """Write one login's line. `within` has text around it."""
        number = next(self._numbers)
        login = Login(f"8.{8 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}", time.time())
        text = self.chance.choice(_LINES).format(user=f"user{number}", address=login.address, session=f"s{number}")
        self.logins[login.address] = login
        try:
            self.write(within.format(self.stamped(text)))
        except OSError:
            login.must = False
        return login

    def stamped(self, text: str) -> str:
        """A line that Dovecot would write now."""
        if self.traditional is not None:
            at = datetime.fromtimestamp(time.time() + self.offset, self.traditional)
            return f"{at:%b %e %H:%M:%S} mx dovecot: {text}\n"
        at = datetime.fromtimestamp(time.time() + self.offset, UTC)
        return f"{at.isoformat(timespec='microseconds')} mx dovecot: {text}\n"

    def write(self, text: str) -> None:
        """Append to the log; a writer that does not hold it open, as syslog after its HUP."""
        with self.log.open("ab", buffering=0) as log:
            log.write(text.encode("utf-8", "surrogateescape"))
            if self.offset:  # the kernel's clock is not set
                os.utime(log.fileno(), (time.time() + self.offset,) * 2)

    def _write(self) -> None:
        while not self._ended.wait(self.chance.expovariate(self._rate)):
            with self._writing:
                with contextlib.suppress(OSError):
                    if self.chance.random() < 0.1:
                        self.write(self.stamped(_FAILED.format(address="6.6.6.6")))
                self.log_in()

    # what must be true all the time

    def may(self, address: str, asked: float) -> bool:
        """Whether it was right, or only just late, to say of an address at that time that it is allowed."""
        login = self.logins.get(address)
        return login is not None and login.until + self.grace > asked

    def told(self, where: str, address: str, asked: float) -> None:
        """Somebody was told that this address is allowed."""
        if not self.may(address, asked):
            login = self.logins.get(address)
            late = f"{asked - login.until:.2f} s too late" if login else "and never logged in"
            self.wrong.append(f"{where} allowed {address}, {late}")

    def _some_address(self) -> str:
        if not self.logins or self.chance.random() < 0.1:
            return "6.6.6.6"
        recent = list(itertools.islice(reversed(self.logins), 1500))
        return self.chance.choice(recent)

    def _probe_service(self) -> None:
        peer: socket.socket | None = None
        while not self._ended.wait(0.002):
            address = self._some_address()
            asked = time.time()
            try:
                if peer is None:
                    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    peer.settimeout(5)
                    peer.connect(str(self.place / "s"))
                answer = _ask(peer, address)
            except OSError:
                if peer is not None:
                    peer.close()
                peer = None
                self._ended.wait(0.02)
                continue
            self.asked += 1
            if answer.startswith("OK "):
                self.told("the service", address, asked)
            elif not answer.startswith(("NOTFOUND ", "TEMP ")):
                self.wrong.append(f"the service said {answer!r}")
        if peer is not None:
            peer.close()

    def _probe_map(self) -> None:
        while not self._ended.wait(0.1):
            if self.muzzled.is_set():
                continue
            asked = time.time()
            keys = self.keys()
            if not self.muzzled.is_set():
                for key in keys:
                    self.told("the map", key, asked)

    def keys(self) -> set[str]:
        """What the map holds; nothing where it cannot be read just now."""
        with self._asking:
            try:
                if self._reader is None:
                    self._reader = subprocess.Popen(
                        [sys.executable, "-c", _READER, self.state / "relay.lmdb"],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                    )
                assert self._reader.stdin is not None
                assert self._reader.stdout is not None
                self._reader.stdin.write(b"\n")
                self._reader.stdin.flush()
                return set(json.loads(self._reader.stdout.readline() or b"x"))
            except (OSError, ValueError):  # it died of a damaged file, as a smtpd would
                self._close_reader()
                return set()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None

    # what happens to it

    def restart(self) -> None:
        """After a kill: start again; until it is back the map is nobody's to judge."""
        self.poprelay.start()
        self.poprelay.settled()
        time.sleep(GRACE)
        self.muzzled.clear()

    def kill(self) -> None:
        self.muzzled.set()
        self.poprelay.kill()

    def forget(self) -> None:
        """What was written until now need not be seen any more: it is gone from the log, or from the ledger."""
        for login in self.logins.values():
            login.must = False

    def set_clock(self, offset: float) -> None:
        """The host's clock is set so far ahead of ours from now on."""
        offset = float(round(offset))
        now, step = time.time(), offset - self.offset
        for login in self.logins.values():
            login.must = False
            if step > 0:
                login.until = min(login.until, max(now, login.until - step))
            elif login.until > now - self.grace:
                login.until = now + PERIOD
        self.offset = offset
        self.clock.write_text(f"{offset:+.0f}\n")

    # what must be true when all is well again

    def settled(self, *, seconds: float = 10.0) -> None:
        """Wait until every login that is still in the log and young enough is seen, and the map says the same."""
        until(lambda: not self.missing(), seconds=seconds, step=0.1, what=f"all is seen; missing: {self.missing()}")
        until(lambda: self._healthy() == "", seconds=seconds, step=0.2, what=f"healthy again: {self._healthy()}")
        assert self.wrong == []

    def missing(self) -> list[str]:
        """Addresses that have to be allowed now, and are not, in ledger or map."""
        with self.quiet():
            time.sleep(0.3)
            now = time.time()
            young = [one.address for one in self.logins.values() if one.must and one.until > now + 2.0]
            listed = {address for address, _ in self.poprelay.allowed()}
            keys = self.keys()
            return [address for address in young if address not in listed or address not in keys]

    def _healthy(self) -> str:
        done = self.poprelay.run("status", "--json")
        return "" if done.exit == 0 else done.out + done.err

    def explained(self, word: str) -> bool:
        """Whether log or status has said so."""
        said = self.poprelay.log.read_text(errors="replace") + self.poprelay.run("status").out
        return re.search(word, said) is not None

    def memory(self) -> float:
        """MiB that the daemon has taken at most."""
        status = Path(f"/proc/{self.poprelay.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


def _ask(peer: socket.socket, address: str) -> str:
    query = f"relay {address}".encode()
    peer.sendall(b"%d:%s," % (len(query), query))
    said = b""
    while True:
        piece = peer.recv(4096)
        if not piece:
            raise ConnectionResetError
        said += piece
        length, colon, rest = said.partition(b":")
        if colon and len(rest) > int(length):
            return rest[: int(length)].decode()
