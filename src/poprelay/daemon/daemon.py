"""The daemon: wires sources, ledger, maps and services together, and lives until it is told to stop.

Start: lock and load the ledger, judge every grant again, listen, compare the maps, then follow the sources. Until the
sources have caught up (at most `PATIENCE` seconds) an address without a plainly live grant is answered 'cannot tell'.
Stop: no more batches, commit what is under way, let the maps follow, close. The maps keep what they hold, unless
`on_stop = "empty"`.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from pathlib import Path

import structlog

from poprelay.clock import Clock
from poprelay.daemon import systemd
from poprelay.daemon.configure import Config, read_config, rules_of, terms_of
from poprelay.daemon.control import ControlServer
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.logging import set_up_logging
from poprelay.daemon.parts import Parts
from poprelay.daemon.rows import Row
from poprelay.daemon.status import status_row
from poprelay.daemon.storage import Storage
from poprelay.daemon.supervisor import Supervisor
from poprelay.daemon.surroundings import Lookout
from poprelay.daemon.ticker import Ticker
from poprelay.errors import PoprelayError, StoreDamaged
from poprelay.model import Address
from poprelay.services.listener import bind

log = structlog.get_logger()

PATIENCE = 30.0
DRAIN = 5.0
SWITCH = 0.001
"""Seconds after which a busy thread lets another go on: the writer comes back from its fsync while the loop is busy."""


class Daemon:
    """One daemon on one ledger; also the house on which the operations work."""

    def __init__(self, config_path: Path, *, observe: bool = False) -> None:
        self.config_path = config_path
        self.observe = observe
        self.config: Config = read_config(config_path)
        self.clock = Clock()
        self.since = self.clock.now()
        self.reload_error = ""
        self.supervisor = Supervisor(self.clock)
        self.lookout = Lookout(ask_mta=self.config.settings.relay.exclude_mta)
        self._stop = asyncio.Event()
        self._hangup = asyncio.Event()
        self._activated = systemd.activated_sockets()

    async def run(self) -> None:
        """Live until SIGTERM or SIGINT. Raises what keeps it from starting."""
        set_up_logging(self.config.settings.log)
        sys.setswitchinterval(SWITCH)
        self.storage = Storage(self.config.settings, self.clock)
        try:
            self.keeper = Keeper(self.storage.ledger, self.storage.writer, self.clock)
            self.keeper.positions.update(self.storage.positions)
            self.parts = Parts(
                self.keeper, self.supervisor, self._activated, observe=self.observe, at_end=self.storage.begins_at_end
            )
            await self._live()
        finally:
            await self.storage.close()
            log.info("stopped")

    @property
    def ledger_path(self) -> Path:
        return self.config.settings.ledger.path

    def status(self) -> Row:
        """Everything that `status` shows; `problems` is empty when all is well."""
        return status_row(self)

    def map_holds(self, address: Address) -> dict[str, bool]:
        """For each map, whether it holds the address, as far as we have published."""
        return {name: address in (one.published or ()) for name, one in self.parts.publishers.items()}

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
        systemd.notify("READY=1")

    async def _reload(self) -> None:
        config = await asyncio.to_thread(read_config, self.config_path)
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
        self.lookout.ask_mta = new.relay.exclude_mta
        surroundings = await self.lookout.look()
        self.keeper.ledger.replace(terms_of(new), rules_of(new, surroundings))
        await self._judge(config)
        await self.parts.publish(config)
        await self.parts.follow(config)

    async def _live(self) -> None:
        keeper, config = self.keeper, self.config
        keeper.starting("starting up, and not caught up with the logs yet")
        keeper.ledger.rules.surroundings = await self.lookout.look()
        await self._judge(config)
        control = ControlServer(self, config.settings.control.writers)
        await control.start(self._control_socket())
        ticker = asyncio.create_task(Ticker(keeper, self.lookout, self.storage.prune).run(), name="ticker")
        ticker.add_done_callback(lambda _: self.stop())
        chores = [
            asyncio.create_task(self.storage.check()),
            asyncio.create_task(self._catch_up()),
            asyncio.create_task(self._reload_on_hangup()),
        ]
        try:
            await self.parts.publish(config)
            await self.parts.follow(config)
            self._heed_signals()
            await keeper.published(DRAIN)
            systemd.notify("READY=1")
            log.info("started", config=str(self.config_path), observe=self.observe, grants=len(keeper.ledger))
            await self._until_stopped()
        finally:
            systemd.notify("STOPPING=1")
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await self.parts.stop("source")
            await keeper.published(DRAIN)
            if self.config.settings.daemon.on_stop == "empty" and not self.observe:
                await self._empty_maps()
            await control.stop()
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
            await keeper.durable(DRAIN)
            await self.parts.stop("service", "map")
            await keeper.close()

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

    async def _judge(self, config: Config) -> None:
        """Close what the config no longer lets stand, and open what it says always stands."""
        standing = [(one.address, one.user, one.reason) for one in config.settings.standing]
        await self.keeper.retune(lambda draft: draft.rejudge())
        await self.keeper.open(lambda draft: draft.stand(standing))

    async def _catch_up(self) -> None:
        """Answer 'cannot tell' until every source has read what was waiting, but not for longer than `PATIENCE`."""
        deadline = self.clock.monotonic() + PATIENCE
        while not (self.parts.followers and self.parts.caught_up()):
            if self.clock.monotonic() > deadline:
                log.warning("not caught up, but answering from now on", after=PATIENCE)
                break
            await asyncio.sleep(0.02)
        self.keeper.started()

    async def _empty_maps(self) -> None:
        for publisher in self.parts.publishers.values():
            try:
                await publisher.empty()
            except PoprelayError as error:
                log.error("map could not be emptied", map=publisher.map.name, error=str(error))

    def _control_socket(self) -> socket.socket:
        control = self.config.settings.control
        given = self._activated.get(str(control.listen))
        return given[0] if given else bind(control.listen, mode=control.mode, group=control.group)

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
