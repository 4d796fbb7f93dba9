"""Peers that are turned away: each is counted, and logged at most once a minute for each reason."""

from __future__ import annotations

import logging

import structlog

from poprelay.services.tally import Tally

log = structlog.get_logger(__name__)


class Refusals:
    """Those of one service. Nothing that a peer sends is ever given here."""

    __slots__ = ("_service", "_tally")

    def __init__(self, service: str) -> None:
        self._service = service
        self._tally = Tally()

    def note(self, word: str, why: str) -> None:
        """A peer was turned away, for the reason `word`; `why` is for the log."""
        if self._tally.note(f"refused_{word}"):
            level = logging.INFO if word == "idle" else logging.WARNING
            log.log(level, "peer refused", service=self._service, reason=word, why=why)

    def counts(self) -> dict[str, int]:
        """How many, by reason: `refused_crowded` and so on."""
        return self._tally.counts()
