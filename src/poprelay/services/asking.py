"""Asking the ledger on behalf of a peer: only about addresses, and whatever happens there is an outcome."""

from __future__ import annotations

from typing import Final

import structlog

from poprelay.address import canonical
from poprelay.model import Absent, Outcome, Unavailable
from poprelay.services import Find
from poprelay.services.tally import Tally

log = structlog.get_logger(__name__)

ABSENT: Final = Absent()
FAILED: Final = Unavailable("internal error, see the log of poprelay")


class Asking:
    """Turns a peer's text into an outcome, and keeps count.

    The text may be anything: `unknown`, a host name of the client's own choosing, part of an address. Only one full
    address is looked up, in canonical form; all else is absent.

    >>> Asking("example", lambda address: Unavailable(f"asked about {address}")).outcome("2001:DB8::7")
    Unavailable(why='asked about 2001:db8::7')
    >>> Asking("example", lambda address: Unavailable("")).outcome("192.0.2")
    Absent()
    """

    __slots__ = ("_find", "_service", "tally")

    def __init__(self, service: str, find: Find) -> None:
        self._service = service
        self._find = find
        self.tally = Tally("found", "absent", "unavailable")

    def outcome(self, text: str) -> Outcome:
        """What the ledger says of `text`. A bug below, or an outcome that means nothing, is logged: 'cannot tell'."""
        address = canonical(text)
        if address is None:
            return ABSENT
        try:
            outcome = self._find(address)
            if isinstance(outcome, (Absent, Unavailable)) or outcome.grants:
                return outcome
            raise ValueError("allowed by no grant")
        except Exception:  # a bug below: the MTA waits for an answer, and none but this one is safe
            if self.tally.note("failed"):
                log.exception("the ledger failed to answer", service=self._service)
            return FAILED
