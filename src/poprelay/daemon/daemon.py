"""The daemon: wires sources, ledger, maps and services together, and lives until it is told to stop.

Start: lock and load the ledger, judge every grant again, listen, compare the maps, then follow the sources. Until the
sources have caught up (at most `PATIENCE` seconds) an address without a plainly live grant is answered 'cannot tell'.
Stop: no more batches, commit what is under way, let the maps follow, close. The maps keep what they hold, unless
`on_stop = "empty"`; with `"wipe"` every grant is closed. A log or a map whose disk hangs is left behind.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from poprelay.clock import Clock
from poprelay.daemon import systemd
from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.control import ControlServer
from poprelay.daemon.formermaps import left_over
from poprelay.daemon.heritage.heritage import adopt, inheritance, make_room
from poprelay.daemon.keeper import LARGE_PIECE, PIECE, Keeper
from poprelay.daemon.logs.complaints import Complaints
from poprelay.daemon.logs.logging import set_up_logging
from poprelay.daemon.operations import wiping
from poprelay.daemon.parts import Parts
from poprelay.daemon.rows import Row
from poprelay.daemon.sessiontrust import SessionTrust
from poprelay.daemon.status import status_row
from poprelay.daemon.storage import Storage
from poprelay.daemon.supervisor import Supervisor
from poprelay.daemon.surroundings import Lookout
from poprelay.daemon.terms import rules_of, terms_of
from poprelay.daemon.ticker import Ticker
from poprelay.errors import PoprelayError, StoreDamaged, StoreError
from poprelay.ledger.draft import Draft
from poprelay.model import Address, Instant
from poprelay.services import room
from poprelay.services.listener import bind

if TYPE_CHECKING:
    from poprelay.daemon.metrics.metering import Metering

log = structlog.get_logger()

PATIENCE = 30.0
DRAIN = 5.0
LAST = 60.0
"""Seconds for the maps at the very end: a command that hangs is killed after half of that, and one more is run."""
SWITCH = 0.001
"""Seconds after which a busy thread lets another go on: the writer comes back from its fsync while the loop is busy."""


class Daemon:
    """One daemon on one ledger; also the house on which the operations work."""

    storage: Storage
    keeper: Keeper
    parts: Parts

    def __init__(
        self, config_path: Path, *, observe: bool = False, read: Callable[[Path], Config] = read_config
    ) -> None:
        """`read` reads the config, now and at each reload."""
        self.config_path = config_path
        self._read = read
        self.observe = observe
        self.config: Config = read(config_path)
        self.clock = Clock()
        self.since: Instant = self.clock.now()
        self.reload_error = ""
        self.reloads = 0
        self.supervisor = Supervisor(self.clock)
        self.control = ControlServer(self, self.config.settings.control.writers)
        self.lookout = Lookout(ask_mta=self.config.settings.relay.exclude_mta)
        self._stop = asyncio.Event()
        self._hangup = asyncio.Event()
        self._activated = systemd.activated_sockets()

    async def run(self) -> None:
        """Live until SIGTERM or SIGINT. Raises what keeps it from starting."""
        set_up_logging(self.config.settings.log)
        self._doubt()
        self._heed_signals()
        room.widen()
        asyncio.get_running_loop().set_exception_handler(Complaints().heed)
        sys.setswitchinterval(SWITCH)
        make_room(self.config)
        self.storage = Storage(self.config.settings, self.clock)
        try:
            self.keeper = Keeper(self.storage.ledger, self.storage.writer, self.clock)
            self.keeper.positions.update(self.storage.positions)
            self.parts = Parts(
                self.keeper,
                self.supervisor,
                self._activated,
                observe=self.observe,
                at_end=lambda: self.storage.begins_at_end,
            )
            await self._live()
        finally:
            await self.storage.close()
            log.info("stopped")

    @property
    def is_served(self) -> bool:
        return True

    @property
    def ledger_path(self) -> Path:
        return self.config.settings.ledger.path

    def status(self) -> Row:
        """Everything that `status` shows; `problems` is empty when all is well."""
        return status_row(self)

    def map_holds(self, address: Address) -> dict[str, bool | None]:
        """For each map, whether it holds the address, as far as we have published; None before it was compared."""
        return {
            name: None if one.published is None else address in one.published
            for name, one in self.parts.publishers.items()
        }

    def _doubt(self) -> None:
        for warning in self.config.warnings:
            log.warning("config is doubtful", doubt=warning)

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    async def reload(self) -> None:
        """Read the config again and become what it says. A config that is refused leaves everything as it was."""
        systemd.notify("RELOADING=1", f"MONOTONIC_USEC={int(time.monotonic() * 1_000_000)}")
        try:
            await self._reload()
        except PoprelayError as error:
            self.reload_error = str(error)
            log.error("reload refused; the old config stays", error=str(error))
        else:
            self.reload_error = ""
            log.info("reloaded", config=str(self.config_path))
        finally:
            self.reloads += 1
            systemd.notify("READY=1")

    async def _reload(self) -> None:
        config = await asyncio.to_thread(self._read, self.config_path)
        old, new = self.config.settings, config.settings
        for section, changed in (
            ("ledger", old.ledger.path != new.ledger.path),
            ("control", old.control != new.control),
        ):
            if changed:
                raise PoprelayError(
                    f"[{section}] has changed", remedy="that needs a restart: systemctl restart poprelay"
                )
        set_up_logging(new.log)
        self.config = config
        self._doubt()
        self.storage.settings = new.ledger
        self.lookout.ask_mta = new.relay.exclude_mta
        surroundings = await self.lookout.look()
        self.keeper.ledger.replace(terms_of(new), rules_of(new, surroundings))
        await self._judge(PIECE)
        await self.parts.publish(config)
        self.parts.make_anew()
        await self.parts.follow(config)
        if old.metrics != new.metrics:
            await self._measure()

    async def _live(self) -> None:
        keeper, config = self.keeper, self.config
        keeper.starting("starting up, and not caught up with the logs yet")
        self._session_trust = SessionTrust(keeper, self._source_names(), self.storage.last_beat)
        keeper.ledger.rules.surroundings = await self.lookout.look()
        if found := inheritance(config, self.storage, keeper.clock.now()):
            await self._patiently("adoption", lambda: adopt(keeper, found))
        await self._judge(LARGE_PIECE)
        await self.control.start(self._control_socket())
        clockwork = Ticker(keeper, self.lookout, self.storage.tidy, self._beat)
        ticker = asyncio.create_task(clockwork.run(), name="ticker")
        ticker.add_done_callback(lambda _: self.stop())
        catching_up = asyncio.create_task(self._catch_up(), name="catch up")
        self.supervisor.start("check of the ledger", self.storage.check)
        await self._measure()
        try:
            await self.parts.publish(config)
            for path in left_over(keeper.positions, config.maps):
                log.warning("a map of an earlier config keeps what it holds", path=str(path))
            await self.parts.follow(config)
            self.supervisor.start("reload", self._reload_on_hangup)
            await keeper.published(DRAIN)
            systemd.notify("READY=1")
            log.info("started", config=str(self.config_path), observe=self.observe, grants=len(keeper.ledger))
            await self._until_stopped()
        finally:
            systemd.notify("STOPPING=1")
            catching_up.cancel()
            for name in ("reload", "adoption", "standing", "check of the ledger", "metrics"):
                await self.supervisor.stop(name)
            await self.parts.stop("source")
            await self.control.stop()
            wipes = self.config.settings.daemon.on_stop == "wipe" and not self.observe
            if wipes:
                await keeper.wipe(wiping("stop", keeper.clock.now()))
            give_up = asyncio.get_running_loop().time() + LAST
            self.parts.hurry()
            await keeper.published(DRAIN)
            if wipes or self.config.settings.daemon.on_stop == "empty":
                await self.parts.empty_maps(give_up)  # after a wipe, for those that wait to be tried again
            broke = ticker.done()
            ticker.cancel()
            await asyncio.wait([ticker])
            await self._session_trust.stop()
            await keeper.durable(DRAIN)
            await self.parts.end(give_up)
            await keeper.close()
            self._remove_control_socket()
        if broke:
            ticker.result()

    async def _until_stopped(self) -> None:
        """Until SIGTERM; raises StoreDamaged if the ledger's file turns out to be: the next start sets it aside."""
        waits = [asyncio.create_task(event.wait()) for event in (self._stop, self.keeper.damaged)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.keeper.damaged.is_set():
            raise StoreDamaged(self.keeper.store_error, remedy="start the daemon again; it sets the ledger aside")

    async def _measure(self) -> None:
        """Serve the metrics where the config says, if it does."""
        await self.supervisor.stop("metrics")
        settings = self.config.settings.metrics
        if settings.listen is not None:
            metering = import_module("poprelay.daemon.metrics.metering").Metering(self, settings.listen, settings.mode)
            self.supervisor.start("metrics", lambda: self._serve(metering))

    async def _serve(self, metering: Metering) -> None:
        await metering.start()
        self.supervisor.well("metrics")
        try:
            await asyncio.Event().wait()
        finally:
            await metering.stop()

    async def _judge(self, piece: int) -> None:
        """Close what the config no longer lets stand, and open what it says always stands."""
        await self.supervisor.stop("standing")
        await self.keeper.retune(piece)
        await self._patiently("standing", self._stand)

    async def _stand(self) -> None:
        if self.keeper.ledger.terms.standing:
            await self.keeper.open(Draft.stand)

    async def _patiently(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do what opens grants; if the store cannot commit it, as soon as it can."""
        try:
            await work()
        except StoreError:
            self.supervisor.start(name, work)

    async def _catch_up(self) -> None:
        """Answer 'cannot tell' until every source has read what was waiting, but not for longer than `PATIENCE`."""
        deadline = self.clock.monotonic() + PATIENCE
        while not (self.parts.followers and self.parts.caught_up()):
            if self.clock.monotonic() > deadline:
                log.warning("not caught up, but answering from now on", after=PATIENCE)
                break
            await asyncio.sleep(0.02)
        self.keeper.started()

    def _source_names(self) -> list[str]:
        return [part.name for part in self.config.sources]

    def _beat(self) -> None:
        """See whose sessions hold; and leave word of now, for the next start, if all logs are read up to now."""
        if self._session_trust.look(self._source_names(), self.parts.followers):
            self.storage.beat()

    def _control_socket(self) -> socket.socket:
        control = self.config.settings.control
        given = self._activated.get(str(control.listen))
        return given[0] if given else bind(control.listen, mode=control.mode, group=control.group)

    def _remove_control_socket(self) -> None:
        listen = self.config.settings.control.listen
        if listen.unix is not None and str(listen) not in self._activated:
            with suppress(OSError):
                listen.unix.unlink()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hangup.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _reload_on_hangup(self) -> None:
        """One reload at a time; signals that come meanwhile make one more."""
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            await self.reload()
