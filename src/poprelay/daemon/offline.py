"""Operations with no daemon running: to read they open the ledger for reading, to write they take the daemon's lock.

Run as root, they first become the owner of the ledger, so that no file is left that the daemon could not write.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from poprelay.clock import Clock
from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.control import user_name
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.operations import OPERATIONS
from poprelay.daemon.parts import Parts
from poprelay.daemon.rows import Row
from poprelay.daemon.storage import Storage, read_ledger
from poprelay.daemon.supervisor import Supervisor
from poprelay.errors import NoDaemon, StoreError
from poprelay.ledger.record import Record
from poprelay.model import Address


class Offline:
    """A house without a daemon: the ledger, and for an operation that writes, the maps."""

    def __init__(self, config: Config, keeper: Keeper) -> None:
        self.ledger_path = config.settings.ledger.path
        self.keeper = keeper
        self._maps = config.maps

    def status(self) -> Row:
        raise NoDaemon("no daemon is running", remedy="start it with: poprelay run")

    def map_holds(self, address: Address) -> dict[str, bool]:
        return {part.name: address in part.object.keys() for part in self._maps}


class ReadOnly:
    """In the place of the writer, for operations that do not write."""

    async def commit(self, _record: Record) -> None:
        raise StoreError("the ledger is open for reading only")


def carry_out(config_path: Path, operation: str, arguments: Row) -> tuple[list[Row], int]:
    """Carry out one operation on the ledger itself; its rows and its exit code."""
    by = user_name(os.getuid())
    return asyncio.run(_carry_out(read_config(config_path), by, operation, arguments))


@asynccontextmanager
async def working_house(config: Config, *, adds: bool = True) -> AsyncIterator[Offline]:
    """The ledger and its maps, held as a daemon would. Without `adds`, maps only lose addresses.

    Raises AlreadyRunning while a daemon runs, and StoreError.
    """
    become_owner(config.settings.ledger.path)
    clock = Clock()
    storage = Storage(config.settings, clock)
    keeper = Keeper(storage.ledger, storage.writer, clock)
    parts = Parts(keeper, Supervisor(clock), {}, adds=adds)
    try:
        await keeper.retune(lambda draft: draft.rejudge())
        await parts.publish_maps(config)
        yield Offline(config, keeper)
    finally:
        await parts.stop("map")
        await keeper.close()
        await storage.close()


async def _carry_out(config: Config, by: str, operation: str, arguments: Row) -> tuple[list[Row], int]:
    task = OPERATIONS[operation]
    if task.writes:
        async with working_house(config, adds=operation == "allow") as house:
            return await _rows(task.run(house, by, arguments))
    become_owner(config.settings.ledger.path)
    clock = Clock()
    keeper = Keeper(read_ledger(config.settings, clock), ReadOnly(), clock)
    return await _rows(task.run(Offline(config, keeper), by, arguments))


async def _rows(rows: AsyncIterator[Row]) -> tuple[list[Row], int]:
    found: list[Row] = []
    exit_code = 0
    async for row in rows:
        exit_code = row.pop("exit", exit_code)
        if row:
            found.append(row)
    return found, exit_code


def become_owner(ledger: Path) -> None:
    """Give up root for the user whose ledger it is."""
    if os.geteuid() != 0:
        return
    try:
        owner = ledger.parent.stat()
    except OSError:
        return
    if owner.st_uid != 0:
        os.initgroups(user_name(owner.st_uid), owner.st_gid)
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
