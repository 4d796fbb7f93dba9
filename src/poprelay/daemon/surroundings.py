"""What this host is and whom its MTA trusts anyway: looked at again each minute, and handed to the rules as a value."""

from __future__ import annotations

import asyncio

import structlog

from poprelay.ledger.rules import Surroundings
from poprelay.mta.host import gateways, own_addresses
from poprelay.mta.postfix import trusted_networks

log = structlog.get_logger()

EVERY = 60.0


class Lookout:
    """Looks around, and remembers what it could not see."""

    def __init__(self, *, ask_mta: bool) -> None:
        self.remarks: tuple[str, ...] = ()
        self.ask_mta = ask_mta

    async def look(self) -> Surroundings:
        """The surroundings as they are now. What cannot be read becomes a remark that `status` shows."""
        found, remarks = await asyncio.to_thread(self._look)
        for remark in remarks:
            if remark not in self.remarks:
                log.warning("surroundings", remark=remark)
        self.remarks = remarks
        return found

    def _look(self) -> tuple[Surroundings, tuple[str, ...]]:
        networks, remarks = trusted_networks() if self.ask_mta else ((), ())
        return Surroundings(own=frozenset(own_addresses()), gateways=frozenset(gateways()), mta=tuple(networks)), tuple(
            remarks
        )
