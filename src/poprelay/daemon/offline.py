"""Operations that write, with no daemon running: they take the daemon's lock. Those that only read are in `reading`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from poprelay.clock import Clock
from poprelay.config.settings import LogSettings
from poprelay.daemon.client import START
from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.heritage.heritage import adopt, inheritance, make_room
from poprelay.daemon.keeper import LARGE_PIECE, Keeper
from poprelay.daemon.logs.logging import set_up_logging
from poprelay.daemon.operations import OPERATIONS
from poprelay.daemon.parts import Parts
from poprelay.daemon.peers import user_name
from poprelay.daemon.reading import become_owner, holds, rows_of
from poprelay.daemon.rows import Row
from poprelay.daemon.sessiontrust import sources_without_daemon
from poprelay.daemon.storage import HELD_BRIEFLY, Storage
from poprelay.daemon.supervisor import Supervisor
from poprelay.daemon.surroundings import look_around
from poprelay.errors import NoDaemon, NotPermitted
from poprelay.ledger.rules import Surroundings
from poprelay.model import Address


class Offline:
    """A house without a daemon: the ledger, and for an operation that writes, the maps."""

    observe = False
    is_served = False

    def __init__(self, config: Config, keeper: Keeper) -> None:
        self.ledger_path = config.settings.ledger.path
        self.keeper = keeper
        self._maps = config.maps

    def status(self) -> Row:
        raise NoDaemon("no daemon is running", remedy=START)

    def map_holds(self, address: Address) -> dict[str, bool | None]:
        """For each map, whether an MTA would find the address in it; nothing is created or changed."""
        return {part.name: holds(part.object, address) for part in self._maps}


def carry_out(config_path: Path, operation: str, arguments: Row) -> tuple[list[Row], int]:
    """Carry out one operation that writes on the ledger itself; its rows and its exit code."""
    by = user_name(os.getuid())
    return asyncio.run(_carry_out(read_config(config_path), by, operation, arguments))


@asynccontextmanager
async def judged_ledger(
    config: Config, surroundings: Callable[[], Surroundings], *, patience: float = HELD_BRIEFLY
) -> AsyncIterator[Keeper]:
    """The ledger, held as a daemon would. What an older daemon left is taken over, and what the config lets stand no
    more is closed.

    `patience`: seconds to wait for whoever holds it; AlreadyRunning after that. Raises StoreError, too.
    """
    clock = Clock()
    storage = Storage(config.settings, clock, patience=patience)
    # A daemon that is only being started again must not cut off those whose sessions are open.
    storage.ledger.read_sources = sources_without_daemon(storage.last_beat, clock.now())
    keeper = Keeper(storage.ledger, storage.writer, clock)
    try:
        storage.ledger.rules.surroundings = surroundings()
        if found := inheritance(config, storage, clock.now()):
            await adopt(keeper, found)
        await keeper.retune(LARGE_PIECE)
        yield keeper
    finally:
        await keeper.close()
        await storage.close()


@asynccontextmanager
async def working_house(config: Config, *, adds: bool = True) -> AsyncIterator[Offline]:
    """The ledger and its maps, held as a daemon would. Without `adds`, maps only lose addresses.

    Raises AlreadyRunning while a daemon runs, NotPermitted, and StoreError.
    """
    set_up_logging(LogSettings(level="warning"))
    path = config.settings.ledger.path
    make_room(config)
    become_owner(path)
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK | os.X_OK):
        raise NotPermitted(
            f"this user may not write the ledger {path}", remedy="ask as root or as the user that the daemon runs as"
        )

    def around() -> Surroundings:
        return look_around(ask_mta=config.settings.relay.exclude_mta)[0] if adds else Surroundings()

    async with judged_ledger(config, around) as keeper:
        parts = Parts(keeper, Supervisor(keeper.clock), {}, adds=adds)
        try:
            await parts.publish_maps(config)
            yield Offline(config, keeper)
        finally:
            await parts.stop("map")


async def _carry_out(config: Config, by: str, operation: str, arguments: Row) -> tuple[list[Row], int]:
    async with working_house(config, adds=operation == "allow") as house:
        return await rows_of(OPERATIONS[operation].run(house, by, arguments))
