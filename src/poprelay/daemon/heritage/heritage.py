"""The first start in the place of an older daemon: what its spool holds is taken over, so that nobody is cut off.

The ledger lies in that spool, which the older daemon may have left open to all users. So the spool is closed to them
first, and a ledger that another user may have put there is not believed.
"""

from __future__ import annotations

import stat
from os import geteuid
from os.path import realpath
from pathlib import Path
from typing import Final

import structlog

from poprelay.daemon.configure import Config
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.storage import Storage
from poprelay.errors import MapError, StoreError
from poprelay.maps import Inheriting
from poprelay.sources import Batch

log = structlog.get_logger()

_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def make_room(config: Config) -> None:
    """Create the spool if the ledger is to lie in it and it is missing, and close it to other users.

    Raises MapError; StoreError for a ledger that another user may have put there.
    """
    ledger = config.settings.ledger.path
    for part in config.maps:
        target = part.object
        if isinstance(target, Inheriting) and realpath(target.path) == realpath(ledger.parent):
            if ledger.parent.is_dir() and ledger.parent.stat().st_mode & _OTHERS:
                log.warning(
                    "others than its owner could write in the spool; it is closed to them where we may",
                    path=str(ledger.parent),
                )
            target.make()
            target.close()  # type: ignore[attr-defined] # every map has it
            _require_ours(ledger)


def _require_ours(ledger: Path) -> None:
    """StoreError unless every file of the ledger is one that only root, we or the directory's owner can have made."""
    owners = {0, geteuid(), ledger.parent.stat().st_uid}
    for file in ledger.parent.glob(f"{ledger.name}*"):
        status = file.lstat()
        is_plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        if not is_plain or status.st_uid not in owners or status.st_mode & _OTHERS:
            raise StoreError(
                f"{file}: another user may have made it or written in it, so it is not believed",
                remedy="look at it, and move it away",
                path=str(file),
            )


async def adopt(config: Config, keeper: Keeper, storage: Storage) -> None:
    """Open grants for what maps inherit, if the ledger is new; a position in the same commit says that it was done."""
    if not storage.is_new:
        return
    now = keeper.clock.now()
    for part in config.maps:
        if not isinstance(part.object, Inheriting):
            continue
        try:
            found = tuple(part.object.inherited(now))
        except MapError as error:
            log.error("nothing is taken over", map=part.name, error=str(error))
            continue
        if found:
            await keeper.take(part.name, Batch(events=found, position=b"adopted", read_at=now, caught_up=True))
            log.info("taken over", map=part.name, logins=len(found))
