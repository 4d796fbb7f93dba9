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
from poprelay.maps.heritage import OTHERS
from poprelay.model import Instant, Login
from poprelay.sources import Batch

log = structlog.get_logger()

_ADOPTION: Final = "\0adoption"
"""Under which name its position is kept; no source is called so."""


def make_room(config: Config) -> None:
    """Create the spool if the ledger is to lie in it and it is missing, and close it to other users.

    Raises MapError; StoreError for a ledger that another user may have put there.
    """
    ledger = config.settings.ledger.path
    for part in config.maps:
        target = part.object
        if isinstance(target, Inheriting) and realpath(target.path) == realpath(ledger.parent):
            if ledger.parent.is_dir() and ledger.parent.stat().st_mode & OTHERS:
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
        if not is_plain or status.st_uid not in owners or status.st_mode & OTHERS:
            raise StoreError(
                f"{file}: another user may have made it or written in it, so it is not believed",
                remedy="look at it, and move it away",
                path=str(file),
            )


def inheritance(config: Config, storage: Storage, now: Instant) -> Batch | None:
    """What maps inherit, as logins read now; None if the ledger is not new. Ask before anything is committed."""
    if not storage.is_new:
        return None
    found: list[Login] = []
    for part in config.maps:
        if isinstance(part.object, Inheriting):
            try:
                found += part.object.inherited(now)
            except MapError as error:
                log.error("nothing is taken over", map=part.name, error=str(error))
    return Batch(events=tuple(found), position=b"adopted", read_at=now, caught_up=True) if found else None


async def adopt(keeper: Keeper, found: Batch) -> None:
    """Open grants for what was inherited, all in one commit: after it the ledger is not new, before it nothing is done.

    Raises StoreError; then the same must be handed in again. Until then the maps lose it, as nothing opens that is not
    durable.
    """
    await keeper.take(_ADOPTION, found)
    log.info("taken over", logins=len(found.events))
