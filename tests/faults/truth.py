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
GRACE: Final = 1.0
"""Seconds for which an address may be found allowed that must not be any more."""
_MEMORY: Final = 6.0
"""Seconds for which it still excuses a late answer that the daemon did not get to run."""
_MOST: Final = 3.0
"""Seconds that this excuses at most."""


class Login:
    """One address that has logged in once: until when at most it may relay, and whether it has to be seen.

    It need not be if its line is gone, its ledger is lost, a cap refuses it, or an order has closed it.
    """

    __slots__ = ("address", "must", "until")

    def __init__(self, address: str, now: float) -> None:
        self.address = address
        self.until = now + PERIOD
        self.must = True


class Starved:
    """How long the daemon was ready to run, and this machine did not let it (proc(5), schedstat): what is late by that
    is not its doing."""

    def __init__(self) -> None:
        self.pid = 0
        self._seen: deque[tuple[float, dict[int, float]]] = deque([(0.0, {0: 0.0})])

    def watch(self, ended: threading.Event) -> None:
        """Measure until the end."""
        while not ended.wait(0.05):
            now = time.monotonic()
            waited = {0: 0.0}
            with contextlib.suppress(OSError, ValueError):
                for task in Path(f"/proc/{self.pid}/task").iterdir():
                    waited[int(task.name)] = int((task / "schedstat").read_text().split()[1]) / 1e9
            self._seen.append((now, waited))
            while self._seen[0][0] < now - _MEMORY:
                self._seen.popleft()

    def lately(self) -> float:
        """Seconds of that, of its main thread and of the worst of the others, which waits for it."""
        seen = tuple(self._seen)
        first, last = seen[0][1], seen[-1][1]
        waits = {task: last[task] - first.get(task, last[task]) for task in last}
        main = waits.pop(self.pid, 0.0)
        return min(_MOST, main + max(waits.values()))


class Truth:
    """All logins that were written, and everything that was answered wrongly. Shared by the threads that probe."""

    def __init__(self) -> None:
        self.logins: dict[str, Login] = {}
        self.wrong: list[str] = []
        """What was answered wrongly, in words."""
        self.asked = 0
        self.latest = 0.0
        """Seconds by which the latest of all answers was late."""
        self.starved = Starved()
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def log_in(self) -> Login:
        """One more address logs in, now."""
        with self._lock:
            number = next(self._numbers)
            address = f"8.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
            login = self.logins[address] = Login(address, time.time())
            return login

    def told(self, where: str, addresses: Iterable[str], asked: float) -> None:
        """Somebody who asked then was told that these are allowed."""
        excuse = GRACE + self.starved.lately()
        for address in addresses:
            login = self.logins.get(address)
            if login is None:
                self.wrong.append(f"{where} allowed {address}, which never logged in")
            elif (late := asked - login.until) > 0:
                self.latest = max(self.latest, late)
                if late > excuse:
                    self.wrong.append(f"{where} allowed {address}, {late:.2f} s too late")

    def lately(self, most: int) -> list[str]:
        """The addresses that logged in last."""
        with self._lock:
            return list(itertools.islice(reversed(self.logins), most))

    def expected(self) -> list[str]:
        """Who has to be allowed now, and for a while yet."""
        soon = time.time() + 2.0
        with self._lock:
            recent = itertools.takewhile(lambda login: login.until > soon, reversed(self.logins.values()))
            return [login.address for login in recent if login.must]

    def excuse(self) -> None:
        """What was written until now need not be seen any more."""
        for login in self._recent():
            login.must = False

    def close(self, addresses: Iterable[str] | None = None) -> None:
        """These (all) must not be allowed from now on: their ledger is lost, or an order has closed them."""
        now = time.time()
        closed = self._recent() if addresses is None else [self.logins[address] for address in addresses]
        for login in closed:
            login.must, login.until = False, min(login.until, now)

    def step(self, seconds: float) -> None:
        """The host's clock was set by so much: forwards it ends what it passes, backwards it stretches what is live to
        a period from when the daemon sees it, within the second."""
        now = time.time()
        for login in self._recent():
            login.must = False
            if seconds > 0:
                login.until = min(login.until, max(now, login.until - seconds))
            elif login.until > now - GRACE:
                login.until = now + 1.0 + PERIOD

    def _recent(self) -> list[Login]:
        """Those of whom anything can still be said."""
        since = time.time() - 60
        with self._lock:
            return list(itertools.takewhile(lambda login: login.until > since, reversed(self.logins.values())))
