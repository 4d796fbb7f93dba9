"""The first start in the place of an older daemon: what its spool holds is taken over, so that nobody is cut off."""

from __future__ import annotations

import structlog

from poprelay.daemon.configure import Config
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.storage import Storage
from poprelay.errors import MapError
from poprelay.maps import Inheriting
from poprelay.sources import Batch

log = structlog.get_logger()


def make_room(config: Config) -> None:
    """Create the spool if the ledger is to lie in it and it is missing. Raises MapError."""
    for part in config.maps:
        target = part.object
        if isinstance(target, Inheriting) and part.spec.get("path") == str(config.settings.ledger.path.parent):
            target.make()
            target.close()  # type: ignore[attr-defined] # every map has it


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
