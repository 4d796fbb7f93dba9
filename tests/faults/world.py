"""A mail host that things happen to: a log that is written all the time, a daemon, probes, and the truth.

What the probes are told is held against the truth at once, with a second's grace; `settled` then says whether every
login that is still in the log is seen, and all is well again.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final, Self

from faults import lines
from faults.host import Host
from faults.probes import POLICY, SOCKETMAP, MapProbe, ServiceProbe
from faults.truth import HELD, PERIOD, SHORT, Login, Truth
from live.daemon import PROGRAM, Poprelay
from live.running import until

RATE: Final = 40.0
"""Logins a second."""
SESSIONS: Final = 0.2
"""How many of them begin a session that may hold its grant."""
MEMORY: Final = 140.0
"""MiB that the daemon may take, whatever is done to it; a flood of logins says so if it needs more."""
MOST: Final = 8_000
"""Grants that there may be."""
_FIRST: Final = '{ echo -15 >/proc/self/autogroup; renice -n -15 $$ >/dev/null; } 2>/dev/null; exec "$@"'
"""Before all that others may be doing on this machine, where that is allowed; see sched(7)."""
_UNPRIVILEGED: Final = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "sh", "-c", _FIRST, "sh")
"""Root without root's right to read and write everything, as the daemon's own user is."""

_CONFIG: Final = """
[relay]
period = "{period:g}s"
max_session = "{held:g}s"
max_grants = {most}
exclude_networks = []
[[sources]]
kind = "file"
path = "{log}"
agents = {agents}
[[maps]]
kind = "lmdb"
path = "{map}"
[[services]]
kind = "socketmap"
listen = "unix:{place}/s"
[[services]]
kind = "policy"
listen = "unix:{place}/p"
"""


class World:
    """All of it, on disks of its own. `offset` is how far the host's clock is set ahead of ours.

    `source` is another copy of `src` to run.
    """

    def __init__(self, place: Path, *, seed: int, size: str = "96m", source: Path | None = None):
        place.mkdir(exist_ok=True)
        self.place = place
        self.chance = random.Random(seed)
        self.host = Host(place, size=size)
        (self.host.logs / "mail").mkdir()
        self.log = self.host.logs / "mail" / "mail.log"
        self.log.touch()
        self.map = self.host.maps / "relay.lmdb"
        config = _CONFIG.format(
            period=PERIOD, held=HELD, most=MOST, log=self.log, agents=list(lines.SERVERS), map=self.map, place=place
        ).replace("'", '"')
        self.poprelay = Poprelay(place / "d", config, ledger=self.host.state / "private" / "ledger.db")
        self.poprelay.prefix = [*_UNPRIVILEGED]
        self.poprelay.env = {**self.host.env, "TZ": "UTC"}
        if source is not None:
            self.poprelay.env["PYTHONPATH"] = str(source)
        self.offset = 0.0
        self.traditional: tzinfo | None = None
        """The zone of stamps without year and zone; None: some say all, others are of UTC."""
        self.truth = Truth()
        self.map_probe = MapProbe(self.map, self.truth)
        self.services = [
            ServiceProbe(SOCKETMAP, place / "s", self.truth, random.Random(seed + 1)),
            ServiceProbe(POLICY, place / "p", self.truth, random.Random(seed + 2)),
        ]
        self.crowded_at = -math.inf
        """When the last crowd went away."""
        self.shown: tuple[str, ...] = ()
        """What `status` and the log have to say of what is done now, while it lasts."""
        self.has_told = False
        self.peak = 0.0
        """MiB that the daemon has taken at most, as far as it was looked at."""
        self.memory = MEMORY
        """MiB that it may take."""
        self._rotations = itertools.count(20_270_000)
        self._writing = threading.RLock()
        self._said_from = 0
        self._is_torn = False
        self._open: list[tuple[float, Login]] = []
        """Sessions that will end, and when."""
        self._ended = threading.Event()
        work = (self._write, self.truth.starved.watch, self.map_probe.ask, *(probe.ask for probe in self.services))
        self._threads = [threading.Thread(target=each, args=(self._ended,), daemon=True) for each in work]

    def __enter__(self) -> Self:
        self.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.truth.up = None
        self._ended.set()
        for thread in self._threads:
            thread.join(20)
        self.map_probe.close()
        try:
            if self.poprelay.running and exception == (None, None, None):
                assert self.poprelay.stop() == 0
            elif self.poprelay.running:
                self.poprelay.kill()
        finally:
            self.host.unmount()

    # what happens all the time

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """While this lasts nothing is written but by whoever holds it."""
        with self._writing:
            yield

    def log_in(self, *, session: bool = False) -> Login:
        """Write one login's lines. `session`: with a session that may hold its grant, and ends or does not."""
        with self._writing:
            login = self.truth.log_in(session=session)
            say = self._session_lines if session else self.login_lines
            try:
                login.must &= self.write(say(_user(login), login.address))
            except OSError:
                login.must = False
            return login

    def login_lines(self, user: str, address: str) -> str:
        """What some server would write now."""
        return lines.login(self.chance, user, address, self._now(), traditional=self.traditional is not None)

    def rotated(self) -> Path:
        """The name that the log gets next: as logrotate's dateext, each number is higher than the last."""
        return self.log.with_name(f"{self.log.name}.{next(self._rotations)}")

    def stamp(self) -> str:
        """What a line begins with that is written now."""
        return self._now().isoformat(timespec="microseconds")

    def write(self, text: str | bytes) -> bool:
        """Append to the log; a writer that does not hold it open, as syslog after its HUP.

        Raises OSError; False if what was written stands behind half a line, which a full disk has left.
        """
        with self._writing, self.log.open("ab", buffering=0) as log:
            raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
            whole = not self._is_torn
            self._is_torn = log.write(raw) < len(raw)
            if self.offset:  # the kernel's clock is not set
                os.utime(log.fileno(), (time.time() + self.offset,) * 2)
        return whole and not self._is_torn

    def _write(self, ended: threading.Event) -> None:
        while not ended.wait(self.chance.expovariate(RATE)):
            with self._writing:
                if self.chance.random() < 0.1:
                    traditional = self.traditional is not None
                    with contextlib.suppress(OSError):
                        self.write(lines.failure(self.chance, self._now(), traditional=traditional))
                session = self.chance.random() < SESSIONS
                login = self.log_in(session=session)
                if session and self.chance.random() < 0.8:
                    heapq.heappush(self._open, (login.at + self.chance.uniform(0.5, SHORT), login))
                self._end_sessions()

    def _session_lines(self, user: str, address: str) -> str:
        return lines.session(user, address, self._now(), traditional=self.traditional is not None)

    def _end_sessions(self) -> None:
        traditional = self.traditional is not None
        while self._open and self._open[0][0] < time.time():
            _, login = heapq.heappop(self._open)
            text = lines.session_ends(_user(login), login.address, self._now(), traditional=traditional)
            with contextlib.suppress(OSError):
                if self.write(text):
                    self.truth.log_out(login)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.offset, self.traditional or UTC)

    # what happens to it

    def start(self, *, with_map: bool = True) -> None:
        """Start the daemon; from when it is ready the map is judged, if it is one, and from when it has caught up its
        answers are."""
        self.poprelay.start()
        self.truth.starved.pid = self.poprelay.pid
        if with_map:
            self.map_probe.muzzled.clear()
        self.poprelay.settled()
        self.truth.up = time.monotonic()

    def stop(self) -> None:
        """As an operator does it; it must end well."""
        self._goes_down()
        assert self.poprelay.stop() == 0

    def run_unprivileged(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as one who may not read and write everything."""
        line = [*_UNPRIVILEGED, str(PROGRAM), command, "-c", str(self.poprelay.config)]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    def kill(self) -> None:
        """`kill -9`. Until it is back the map is nobody's to keep."""
        self._goes_down()
        self.poprelay.kill()

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """SIGSTOP while this lasts; until a second after that nobody has to answer, nor can keep the map."""
        self._goes_down()
        os.kill(self.poprelay.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.poprelay.pid, signal.SIGCONT)
        time.sleep(1.0)
        self.map_probe.muzzled.clear()
        self.truth.up = time.monotonic()

    def set_clock(self, offset: float) -> None:
        """The host's clock is set so far ahead of ours from now on, to the second."""
        with self._writing:
            offset, before = float(round(offset)), self.offset
            self.truth.step(offset - before)
            self.host.set_clock(int(offset))
            self.offset = offset

    # what must be true

    def mark(self) -> None:
        """What is said from now on is said of what happens next."""
        if self.poprelay.log.exists():
            self._said_from = self.poprelay.log.stat().st_size

    def said(self, word: str, *, seconds: float = 10.0) -> None:
        """The daemon's log says so, since the mark."""
        until(lambda: re.search(word, self._log()), seconds=seconds, step=0.1, what=f"its log says {word!r}")

    def told(self) -> None:
        """Now that what is done lasts, `status` says it, in the words that the catalog has for it."""
        assert self.shown, "the catalog has no word of it"
        until(
            lambda: all(re.search(word, self.poprelay.run("status").out) for word in self.shown),
            seconds=20, step=0.2, what=f"status says {self.shown}",
        )  # fmt: skip
        self.has_told = True

    def status(self) -> dict[str, Any]:
        """All that `status` knows."""
        (status,) = self.poprelay.run("status", "--json").objects()
        return status

    def has_read(self) -> bool:
        """Whether nothing that is in the log waits to be read."""
        return all(source["lag"] == 0 and source["caught_up"] for source in self.status()["sources"])

    def settled(self, *, seconds: float = 20.0) -> None:
        """Wait until all is well and the log is read; then every login in it that is young is seen, in the map and by
        whoever asks a service.

        One that is not is lost: it is not waited for until it is too old to be seen.
        """
        until(
            lambda: self._healthy() == "", seconds=seconds, step=0.2, what=lambda: f"healthy again: {self._healthy()}"
        )
        with self.quiet():
            until(self.has_read, seconds=seconds, step=0.1, what="the log is read")
            lost = {*self.truth.expected()}
            missed = set[str]()
            ends = time.monotonic() + 1.5
            while lost and time.monotonic() < ends:
                time.sleep(0.1)
                unseen = self.unseen(lost)
                missed |= self.truth.due(unseen)  # as asking takes a while, others may have ended meanwhile
                lost = unseen & missed
            assert not lost, f"lost: {sorted(lost)}"
            self.truth.unread = False
            self.judge()

    def unseen(self, addresses: Iterable[str]) -> set[str]:
        """Those of these that ledger, map and services do not all allow now."""
        addresses = {*addresses}
        seen = addresses & {address for address, _ in self.poprelay.allowed()} & self.map_probe.keys()
        for service in self.services:
            try:
                seen = service.allowed(seen)
            except OSError:  # it did not let us in, or left us without an answer
                seen = set()
        return addresses - seen

    def judge(self) -> None:
        """Nothing was answered wrongly, and little memory was taken; no login was counted twice."""
        self._look_at_memory()
        assert not self.truth.wrong, self.truth.wrong[:20]
        assert self.peak < self.memory, f"{self.peak:.0f} MiB"
        status = self.status()
        ends = status["sources"][0]["logouts"]
        assert status["changes"]["renewed"] <= ends, "each address logs in and out once, so that was counted twice"
        assert status["grants"] <= MOST, f"{status['grants']} grants are more than max_grants"

    def _healthy(self) -> str:
        done = self.poprelay.run("status", "--json")
        return "" if done.exit == 0 else done.out + done.err

    def _log(self) -> str:
        with self.poprelay.log.open("rb") as log:
            log.seek(self._said_from)
            return log.read().decode(errors="replace")

    def _goes_down(self) -> None:
        self._look_at_memory()
        self.truth.up = None
        self.map_probe.muzzled.set()

    def _look_at_memory(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.poprelay.pid}/status").read_text())
            assert found is not None
            self.peak = max(self.peak, int(found[1]) / 1024)


def _user(login: Login) -> str:
    return f"user{login.address}"
