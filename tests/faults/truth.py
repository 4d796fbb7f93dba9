"""Who must be allowed at each moment, and who must not: what every answer is held against."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PERIOD: Final = 8.0
"""Seconds that a login lets an address relay here."""
HELD: Final = 12.0
"""Seconds for which an open session may let it at most, `max_session`."""
SHORT: Final = 4.0
"""Seconds that a session lasts at most whose logout has to be seen: its grant is live without it."""
GRACE: Final = 1.0
"""Seconds for which an address may be found allowed that must not be any more."""
SEEN: Final = GRACE + 0.5
"""Seconds within which a clock that was set has been seen. Until then what seems to last too long allows nobody."""
KNOWN: Final = 4.0
"""Seconds after which a service knows a login that was written, where nothing hinders its reading."""
LONGEST: Final = 5.0
"""Seconds that an answer may take while the daemon is up, whatever is done to it. An MTA waits for longer."""
ENDING: Final = 2.0
"""Seconds before its end from which on nobody asks for a login any more, and the answer has to come in half of them:
its stamp may be cut to the second."""
_MEMORY: Final = 15.0
"""Seconds for which it is known when the daemon did not get to run."""
_MOST: Final = 3.0
"""Seconds of lateness that this excuses at most."""


class Login:
    """One address that has logged in once."""

    __slots__ = ("address", "at", "held", "must", "seen", "span", "sure", "until")

    def __init__(self, address: str, now: float, *, session: bool) -> None:
        self.address = address
        self.at = now
        self.span = HELD if session else PERIOD
        self.until = now + self.span
        """Until when at most it may relay."""
        self.held = self.until
        """The same if its logout is never read."""
        self.sure = now + PERIOD
        """Until when it has to be seen, if it must."""
        self.must = True
        """Not if its line is gone, its ledger is lost, a cap refuses it, or an order has closed it."""
        self.seen = math.inf
        """From when on it was found allowed: it must not be denied after that, whatever hinders reading."""


class Starved:
    """How long the daemon was ready to run, and this machine did not let it (proc(5), schedstat): what is late by that
    is not its doing."""

    def __init__(self) -> None:
        self.pid = 0
        self._seen: deque[tuple[float, dict[int, float]]] = deque([(0.0, {})])
        self._ran: dict[int, tuple[str, float]] = {}
        """What the kernel said last of each thread's times, and since when it says that."""

    def watch(self, ended: threading.Event) -> None:
        """Measure until the end."""
        while not ended.wait(0.05):
            waited: dict[int, float] = {}
            with contextlib.suppress(OSError, ValueError):
                for task in Path(f"/proc/{self.pid}/task").iterdir():
                    times = (task / "schedstat").read_text()
                    state = (task / "stat").read_text().rpartition(")")[2].split()[0]
                    waited[int(task.name)] = self.waited(time.monotonic(), int(task.name), times, state)
            self.note(time.monotonic(), waited)

    def waited(self, now: float, task: int, times: str, state: str) -> float:
        """Seconds that a thread has waited in all, by its `schedstat` and its state. The kernel counts a wait when it
        is over; one that goes on is known by a thread that could run (R), and has not run any more."""
        if task not in self._ran or self._ran[task][0] != times or state != "R":
            self._ran[task] = times, now
        return int(times.split()[1]) / 1e9 + now - self._ran[task][1]

    def note(self, now: float, waited: dict[int, float]) -> None:
        """So long each of its threads has waited in all."""
        self._seen.append((now, waited))
        while self._seen[0][0] < now - _MEMORY:
            self._seen.popleft()

    def during(self, seconds: float) -> float:
        """Seconds of that within the last so many: of its main thread and of the worst of the others, which waits for
        it. A wait from before excuses nothing."""
        seen = tuple(self._seen)
        last_at, last = seen[-1]
        first = next(waited for at, waited in seen if at >= last_at - seconds)
        waits = {task: last[task] - first.get(task, last[task]) for task in last}
        main = waits.pop(self.pid, 0.0)
        return min(_MOST, main + max(waits.values(), default=0.0))


class Truth:
    """All logins that were written, and everything that was answered wrongly. Shared by the threads that probe."""

    def __init__(self) -> None:
        self.logins: dict[str, Login] = {}
        self.wrong: list[str] = []
        """What was answered wrongly, in words."""
        self.unread = False
        """Whether the log is not read for long: then nobody can know which sessions have ended."""
        self.up: float | None = None
        """Since when the daemon is up and has to answer; None while it need not."""
        self.full = False
        """Whether a cap refuses who comes now, or may."""
        self.asked = 0
        self.latest = 0.0
        """Seconds by which the latest of all answers was late."""
        self.starved = Starved()
        self._stepped = -math.inf
        """When the clock was set last."""
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def log_in(self, *, session: bool = False, ipv6: bool = False) -> Login:
        """One more address logs in, now. `session`: with one that its server says the end of, or may say. `ipv6`: one
        that is as long as an address can be."""
        with self._lock:
            number = next(self._numbers)
            if ipv6:
                high, low = divmod(number, 0x8000)
                address = f"2620:1111:2222:3333:4444:5555:{0x1000 + high:x}:{0x8000 + low:x}"
            else:
                address = f"8.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
            login = self.logins[address] = Login(address, time.time(), session=session)
            login.must = not self.full
            return login

    def log_out(self, login: Login) -> None:
        """Its session has ended, and the log says so: a period begins, if the grant was still live."""
        now = time.time()
        if now < login.held:
            login.until = now + PERIOD
            login.held = max(login.held, login.until)
        if not self.unread and now - login.at <= SHORT:
            login.sure = now + PERIOD

    def told(self, where: str, addresses: Iterable[str], asked: float) -> None:
        """Somebody who asked then was told that these are allowed."""
        for address in addresses:
            login = self.logins.get(address)
            if login is None:
                self.wrong.append(f"{where} allowed {address}, which never logged in")
                continue
            if login.seen == math.inf:
                login.seen = time.time()
            if (late := asked - (login.held if self.unread else login.until)) > 0:
                self.latest = max(self.latest, late)
                if late > GRACE and late > GRACE + self.starved.during(late + GRACE):
                    self.wrong.append(f"{where} allowed {address}, {late:.2f} s too late")

    def denied(self, where: str, address: str, asked: float, answer: str) -> None:
        """Somebody who asked then, while the daemon was up, was told that this one is not allowed, or nobody can tell.

        That is wrong of whom anybody has found allowed before, and of whom it should have read by now.
        """
        login = self.logins.get(address)
        if login is None or not login.must or login.sure < time.time() + ENDING:
            return
        if login.at < self._stepped and asked < self._stepped + SEEN:
            return
        late = asked - login.at
        if asked > login.seen or (not self.unread and late > KNOWN and late > KNOWN + self.starved.during(late)):
            has = (
                f"was found allowed {asked - login.seen:.2f} s before"
                if asked > login.seen
                else f"had logged in {late:.2f} s before"
            )
            self.wrong.append(f"{where} said {answer!r} of {address}, which {has}")

    def answered(self, where: str, up: float | None, seconds: float, *, failed: str = "") -> None:
        """An answer took so long, or did not come at all; `up` as it was when it was asked for."""
        if up is None or up != self.up:
            return
        if failed:
            self.wrong.append(f"{where} did not answer, after {seconds:.2f} s: {failed}")
        elif seconds > LONGEST and seconds > LONGEST + self.starved.during(seconds):
            self.wrong.append(f"{where} answered after {seconds:.2f} s")

    def lately(self, most: int) -> list[str]:
        """The addresses that logged in last."""
        with self._lock:
            return list(itertools.islice(reversed(self.logins), most))

    def expected(self) -> list[str]:
        """Who has to be allowed now, and for a while yet."""
        soon = time.time() + ENDING
        with self._lock:
            recent = itertools.takewhile(lambda login: login.at > soon - HELD - PERIOD, reversed(self.logins.values()))
            return [login.address for login in recent if login.must and login.sure > soon]

    def due(self, addresses: Iterable[str]) -> set[str]:
        """Those of these who still had to be allowed, if that was asked just now."""
        logins = (self.logins[address] for address in addresses)
        return {login.address for login in logins if login.must and login.sure > time.time() + ENDING / 2}

    def excuse(self, addresses: Iterable[str] | None = None) -> None:
        """What was written until now (of these) need not be seen any more, nor need what it said of ends."""
        for login in self._these(addresses):
            login.must, login.until = False, login.held

    def close(self, addresses: Iterable[str] | None = None) -> None:
        """These (all) must not be allowed from now on: their ledger is lost, or an order has closed them."""
        now = time.time()
        for login in self._these(addresses):
            login.must, login.until, login.held = False, min(login.until, now), min(login.held, now)

    def step(self, seconds: float) -> None:
        """The host's clock was set by so much: forwards it ends what it passes, backwards it stretches what is live to
        a period from when the daemon sees it, within the second.

        Of what was seen to be live the rest must be live then; a line that was not read yet may be misread.
        """
        now = self._stepped = time.time()
        for login in self._recent():
            left = min(login.sure - now - seconds, PERIOD)
            login.must = login.must and login.seen <= now < login.sure - ENDING / 2 and left > 0
            login.sure = now + left
            if seconds > 0:
                login.until = min(login.until, max(now, login.until - seconds))
                login.held = min(login.held, max(now, login.held - seconds))
            elif login.until > now - GRACE:
                login.until = login.held = now + 1.0 + login.span

    def _these(self, addresses: Iterable[str] | None) -> list[Login]:
        return self._recent() if addresses is None else [self.logins[address] for address in addresses]

    def _recent(self) -> list[Login]:
        """Those of whom anything can still be said."""
        since = time.time() - 60
        with self._lock:
            return list(itertools.takewhile(lambda login: login.until > since, reversed(self.logins.values())))
