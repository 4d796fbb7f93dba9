"""Peers that are turned away: each is counted, and logged at most once a minute for each reason."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import structlog

from poprelay.services.tally import Tally

log = structlog.get_logger(__name__)

LATELY: Final = 300.0
"""Seconds for which it is told that there was no room, for it may be over when somebody looks."""


class Refusals:
    """Those of one service. Nothing that a peer sends is ever given here."""

    __slots__ = ("_clock", "_crowded", "_service", "_tally")

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._tally = Tally(clock=clock)
        self._crowded: tuple[float, str] | None = None

    def note(self, word: str, why: str) -> None:
        """A peer was turned away, for the reason `word`; `why` is for the log."""
        if word == "crowded":
            self._crowded = self._clock(), why
        if self._tally.note(f"refused_{word}"):
            level = logging.INFO if word == "idle" else logging.WARNING
            log.log(level, "peer refused", service=self._service, reason=word, why=why)

    def counts(self) -> dict[str, int]:
        """How many, by reason: `refused_crowded` and so on."""
        return self._tally.counts()

    def crowding(self) -> str:
        """Why there was no room for some of those who came lately; '' if there was."""
        if self._crowded is None or self._clock() - self._crowded[0] >= LATELY:
            return ""
        return self._crowded[1]
