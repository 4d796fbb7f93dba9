"""Who must be allowed at each moment, and who must not: what every answer is held against."""

from __future__ import annotations

import contextlib
import itertools
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
_MEMORY: Final = 15.0
"""Seconds for which it is known when the daemon did not get to run."""
_MOST: Final = 3.0
"""Seconds of lateness that this excuses at most."""


class Login:
    """One address that has logged in once."""

    __slots__ = ("address", "at", "held", "must", "span", "sure", "until")

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


class Starved:
    """How long the daemon was ready to run, and this machine did not let it (proc(5), schedstat): what is late by that
    is not its doing."""

    def __init__(self) -> None:
        self.pid = 0
        self._seen: deque[tuple[float, dict[int, float]]] = deque([(0.0, {})])

    def watch(self, ended: threading.Event) -> None:
        """Measure until the end."""
        while not ended.wait(0.05):
            waited: dict[int, float] = {}
            with contextlib.suppress(OSError, ValueError):
                for task in Path(f"/proc/{self.pid}/task").iterdir():
                    waited[int(task.name)] = int((task / "schedstat").read_text().split()[1]) / 1e9
            self.note(time.monotonic(), waited)

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
        self.asked = 0
        self.latest = 0.0
        """Seconds by which the latest of all answers was late."""
        self.starved = Starved()
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
            elif (late := asked - (login.held if self.unread else login.until)) > 0:
                self.latest = max(self.latest, late)
                if late > GRACE and late > GRACE + self.starved.during(late + GRACE):
                    self.wrong.append(f"{where} allowed {address}, {late:.2f} s too late")

    def lately(self, most: int) -> list[str]:
        """The addresses that logged in last."""
        with self._lock:
            return list(itertools.islice(reversed(self.logins), most))

    def expected(self) -> list[str]:
        """Who has to be allowed now, and for a while yet."""
        soon = time.time() + 2.0
        with self._lock:
            recent = itertools.takewhile(lambda login: login.at > soon - HELD - PERIOD, reversed(self.logins.values()))
            return [login.address for login in recent if login.must and login.sure > soon]

    def excuse(self) -> None:
        """What was written until now need not be seen any more, nor need what it said of ends."""
        for login in self._recent():
            login.must, login.until = False, login.held

    def close(self, addresses: Iterable[str] | None = None) -> None:
        """These (all) must not be allowed from now on: their ledger is lost, or an order has closed them."""
        now = time.time()
        closed = self._recent() if addresses is None else [self.logins[address] for address in addresses]
        for login in closed:
            login.must, login.until, login.held = False, min(login.until, now), min(login.held, now)

    def step(self, seconds: float) -> None:
        """The host's clock was set by so much: forwards it ends what it passes, backwards it stretches what is live to
        a period from when the daemon sees it, within the second."""
        now = time.time()
        for login in self._recent():
            login.must = False
            if seconds > 0:
                login.until = min(login.until, max(now, login.until - seconds))
                login.held = min(login.held, max(now, login.held - seconds))
            elif login.until > now - GRACE:
                login.until = login.held = now + 1.0 + login.span

    def _recent(self) -> list[Login]:
        """Those of whom anything can still be said."""
        since = time.time() - 60
        with self._lock:
            return list(itertools.takewhile(lambda login: login.until > since, reversed(self.logins.values())))
