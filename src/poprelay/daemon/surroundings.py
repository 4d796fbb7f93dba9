"""What this host is and whom its MTA trusts anyway: looked at again each minute, and handed to the rules as a value."""

from __future__ import annotations

import asyncio

import structlog

from poprelay.errors import PoprelayError
from poprelay.ledger.rules import Surroundings
from poprelay.mta.host import gateways, own_addresses
from poprelay.mta.postfix.networks import trusted_networks

log = structlog.get_logger()

EVERY = 60.0


class Lookout:
    """Looks around, and remembers what it could not see."""

    def __init__(self, *, ask_mta: bool) -> None:
        self.remarks: tuple[str, ...] = ()
        self._last: Surroundings | None = None
        self.ask_mta = ask_mta
        self._turn = asyncio.Lock()

    async def look(self) -> Surroundings:
        """The surroundings as they are now. What cannot be read becomes a remark that `status` shows. One look after
        the other: whoever takes them over in this order ends with what was asked for last.

        Raises PoprelayError if nothing was ever known of them: without that, nothing may open.
        """
        async with self._turn:
            return await self._look()

    async def _look(self) -> Surroundings:
        try:
            found, remarks = await asyncio.to_thread(look_around, ask_mta=self.ask_mta)
        except OSError as error:
            if self._last is None:
                raise PoprelayError(f"this host's own addresses cannot be read: {error.strerror or error}") from error
            found, remarks = self._last, (f"this host's own addresses cannot be read now: {error.strerror or error}",)
        self._last = found
        for remark in remarks:
            if remark not in self.remarks:
                log.warning("surroundings", remark=remark)
        self.remarks = remarks
        return found


def look_around(*, ask_mta: bool) -> tuple[Surroundings, tuple[str, ...]]:
    """What is around now, and what could not be read, as sentences. Blocks."""
    networks, remarks = trusted_networks() if ask_mta else ((), ())
    own, gates = frozenset(own_addresses()), frozenset(gateways())
    return Surroundings(own=own, gateways=gates, mta=tuple(networks)), tuple(remarks)
