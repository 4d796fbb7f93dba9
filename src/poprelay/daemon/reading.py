"""Operations that only read, with no daemon running: the ledger is opened for reading, and nothing is changed anywhere.

Run as root, they first become the owner of the ledger, so that no file is left that the daemon could not write. Quick
to import: only what these operations need of the config is read, and no part that the daemon runs is built.
"""

from __future__ import annotations

import asyncio
import os
import pkgutil
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from poprelay.clock import Clock
from poprelay.config.load import read_document
from poprelay.config.section import Section
from poprelay.config.settings import Settings, read_settings
from poprelay.daemon.client import START
from poprelay.daemon.operations import BREATH, OPERATIONS
from poprelay.daemon.peers import user_name
from poprelay.daemon.rows import Row
from poprelay.daemon.sessiontrust import sources_without_daemon
from poprelay.daemon.terms import rules_of, terms_of
from poprelay.errors import MapError, NoDaemon, StoreError
from poprelay.ledger.ledger import Ledger
from poprelay.ledger.lock import last_beat
from poprelay.ledger.sqlite import read_snapshot
from poprelay.maps import KINDS, Map, Readable
from poprelay.model import Address, Outcome

if TYPE_CHECKING:
    from poprelay.daemon.keeper import Keeper


class Reading:
    """A house without a daemon: a ledger as it was on disk, and maps to look at."""

    observe = False

    def __init__(
        self, settings: Settings, maps: Sequence[Map], ledger: Ledger, clock: Clock, *, is_served: bool = True
    ) -> None:
        self.ledger_path = settings.ledger.path
        self.is_served = is_served
        self.ledger = ledger
        self.clock = clock
        self._maps = maps

    @property
    def keeper(self) -> Keeper:
        """This itself: of a keeper, an operation that only reads takes `ledger`, `clock` and `find`."""
        return cast("Keeper", self)

    def find(self, address: Address) -> Outcome:
        return self.ledger.find(address, self.clock.now())

    def status(self) -> Row:
        raise NoDaemon("no daemon is running", remedy=START)

    def map_holds(self, address: Address) -> dict[str, bool | None]:
        """For each map, whether an MTA would find the address in it; nothing is created or changed."""
        return {one.name: holds(one, address) for one in self._maps}


def look(config_path: Path, operation: str, arguments: Row) -> Iterator[Row]:
    """Carry out one operation that only reads, as its rows are taken. Raises ConfigError, StoreError, …"""
    document = read_document(config_path)
    settings = read_settings(document.root)
    maps = _maps(document.root) if operation == "explain" else []
    document.check()
    clock = Clock()
    become_owner(settings.ledger.path)
    try:
        ledger = read_ledger(settings, clock)
    except StoreError as error:
        if operation != "explain":
            raise
        ledger = Ledger(terms_of(settings), rules_of(settings))
        ledger.unavailable = str(error)
    house = Reading(settings, maps, ledger, clock, is_served=not document.root.given("services"))
    rows = OPERATIONS[operation].run(house, user_name(os.getuid()), arguments)
    with asyncio.Runner() as runner:
        while some := runner.run(_next(rows)):
            yield from some


def read_ledger(settings: Settings, clock: Clock) -> Ledger:
    """The ledger as it is on disk, judged by the present config. Raises StoreError."""
    ledger = Ledger(terms_of(settings), rules_of(settings))
    now = clock.now()
    ledger.read_sources = sources_without_daemon(last_beat(settings.ledger.path), now)
    ledger.load(read_snapshot(settings.ledger.path), now)
    draft = ledger.draft(now)
    draft.expire()
    draft.clamp_rest()
    draft.rejudge(frozenset(ledger.addresses()))
    ledger.close(draft)
    ledger.accept(draft)
    ledger.judged()
    ledger.swept(ledger.wiped_at)
    return ledger


async def rows_of(rows: AsyncIterator[Row]) -> tuple[list[Row], int]:
    """All rows of an operation, and its exit code."""
    found: list[Row] = []
    exit_code = 0
    async for row in rows:
        exit_code = row.pop("exit", exit_code)
        if row:
            found.append(row)
    return found, exit_code


async def _next(rows: AsyncIterator[Row]) -> list[Row]:
    """As many of the next rows as are made without giving others a turn; none at the end."""
    found: list[Row] = []
    async for row in rows:
        found.append(row)
        if len(found) == BREATH:
            break
    return found


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


def holds(target: Map, address: Address) -> bool | None:
    """Whether a map that nobody keeps at present holds the address; None where that cannot be said."""
    try:
        return target.holds(address) if isinstance(target, Readable) else None
    except MapError:
        return None


def _maps(root: Section) -> list[Map]:
    return [_kind(section.text("kind")).from_section(section) for section in root.tables("maps")]


def _kind(name: str) -> Any:
    if name in KINDS:
        return pkgutil.resolve_name(KINDS[name])
    from poprelay.daemon.kinds import find_kind  # noqa: PLC0415  # looking for others' kinds takes its time

    return find_kind("map", name)
