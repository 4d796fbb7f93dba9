"""Grants that come and go while an MTA is asked, and whether each of its answers was right.

An answer is wrong if it matches no state that was published at any moment between the question's start and its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from live.daemon import Poprelay
from poprelay.daemon import client

_FOREVER: Final = float("inf")


class Answer(NamedTuple):
    """What was answered, to a question of when."""

    asked: float
    answered: float
    code: int


class Flicker(threading.Thread):
    """Grants an address and takes the grant back, by turns; `between` is called before each, with its number.

    Each change counts as made at some moment from the command's start to `lag` seconds after its end.
    """

    def __init__(
        self,
        poprelay: Poprelay,
        address: str,
        changes: int,
        *,
        lag: float = 0.0,
        between: Callable[[int], None] = lambda number: None,
    ) -> None:
        super().__init__()
        self._control = poprelay.place / "control"
        self._address = address
        self._changes = changes
        self._lag = lag
        self._between = between
        self._spans: list[tuple[float, float, bool]] = [(time.monotonic(), _FOREVER, False)]
        """When each state may have been the one that was published: from, to, whether it is allowed."""
        self.answers: list[Answer] = []
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            for number in range(self._changes):
                self._between(number)
                self._change(allowed=number % 2 == 0)
        except BaseException as error:  # noqa: BLE001 - told by the test, in its own thread
            self.failed = error

    def _change(self, *, allowed: bool) -> None:
        before, _, was = self._spans[-1]
        self._spans.append((time.monotonic(), _FOREVER, allowed))
        if allowed:
            self.ask("allow", address=self._address, span="5m")
        else:
            self.ask("revoke", address=self._address)
        self._spans[-2] = (before, time.monotonic() + self._lag, was)

    def ask(self, operation: str, **arguments: object) -> None:
        """Have the daemon do it; returns when it is published, which AssertionError says it was not."""
        with client.connect(self._control) as connection:
            rows = list(client.ask(connection, operation, arguments))
        assert rows, (operation, arguments)
        assert rows[-1].get("pending", []) == [], rows

    def judge(self, ask: Callable[[], int]) -> None:
        """Ask the MTA whether the address may relay, and note what it says."""
        asked = time.monotonic()
        code = ask()
        self.answers.append(Answer(asked, time.monotonic(), code))

    def was_always_right(self, *, refuses: int, at_least: int) -> None:
        """AssertionError if an answer was wrong, or there were fewer of each kind."""
        assert self.failed is None, self.failed
        yes = [answer for answer in self.answers if answer.code == 250]
        no = [answer for answer in self.answers if answer.code == refuses]
        assert len(yes) + len(no) == len(self.answers), {answer.code for answer in self.answers}
        assert min(len(yes), len(no)) >= at_least, (len(yes), len(no))
        assert [answer for answer in yes if not self._may_be(answer, allowed=True)] == []
        assert [answer for answer in no if not self._may_be(answer, allowed=False)] == []

    def _may_be(self, answer: Answer, *, allowed: bool) -> bool:
        """Whether that state may have been published while it was asked."""
        return any(
            each == allowed and start <= answer.answered and answer.asked <= end for start, end, each in self._spans
        )


@contextmanager
def flickering(
    poprelay: Poprelay,
    address: str,
    changes: int,
    *,
    lag: float = 0.0,
    between: Callable[[int], None] = lambda number: None,
) -> Iterator[Flicker]:
    """A flicker that runs meanwhile, and has ended afterwards."""
    flicker = Flicker(poprelay, address, changes, lag=lag, between=between)
    flicker.start()
    try:
        yield flicker
    finally:
        flicker.join()
