"""Mail::POPRelay's two classes, with its options and its methods, on our ledger and maps.

    relay = poprelay.POPRelay("/etc/poprelay.conf", {"mailRelayPeriod": 3600})
    relay.add_relay_address("ann", "9.9.9.9")
    relay.generate_relay_file()

Options are called as in its config file, and override what stands there. The original spelling of each method works
too. While a daemon runs on the same spool, the methods ask it, and it writes all maps at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from poprelay.address import canonical
from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.config.legacycommand import read_command
from poprelay.config.settings import LogSettings
from poprelay.daemon.client import ask, connect
from poprelay.daemon.configure import Config
from poprelay.daemon.heritage.heritage import make_room
from poprelay.daemon.heritage.legacy import LegacyDocument, logging_to, old_config, read_old
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.logs.logging import set_up_logging
from poprelay.daemon.offline import judged_ledger
from poprelay.daemon.operations import wiping
from poprelay.daemon.rows import Row
from poprelay.daemon.surroundings import look_around
from poprelay.errors import AlreadyRunning, ConfigError, Refused
from poprelay.maps import Derived, Entry, Map
from poprelay.maps.command import run
from poprelay.model import Opened

T = TypeVar("T")

RESTART_WITHIN = 60.0
"""Seconds that restarting the mail program may take."""


class POPRelay:
    """One Mail::POPRelay config, and what can be done by it at one go."""

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, object] | None = None,
        options: Mapping[str, object] | None = None,
        *,
        agent: str | type[Agent] | None = None,
        **more: object,
    ) -> None:
        """`config` is a file, or options alone; `options`, and further ones by name, override it.

        `agent` is `ipop3d`, `qpopper` or `vpopd`, one of ours by name, or a class made from `poprelay.Agent`. Raises
        ConfigError with every mistake.
        """
        if isinstance(config, Mapping):
            options = {**config, **(options or {})}
            config = None
        self._path = None if config is None else Path(config).absolute()
        self._options = {**(options or {}), **more}
        if isinstance(agent, type):
            catalog.add(agent)
            agent = agent.name
        self._agent = agent
        self._document = self._read()
        self._config = old_config(self._document, self._path)

    @property
    def toml(self) -> str:
        """The config as one of ours."""
        return self._document.text

    def wipe_relay_directory(self) -> None:
        """Remove all relay access from the spool. A running daemon removes it from the relay file too."""

        async def wipe(keeper: Keeper) -> None:
            await keeper.wipe(wiping("wipe_relay_directory", keeper.clock.now()))
            self._publish(keeper, self._spool, adds=False)

        self._carry_out(wipe, "wipe", {}, lambda _: None)

    def clean_relay_directory(self) -> list[str]:
        """Remove what has expired from the spool; the addresses that were removed."""

        async def clean(keeper: Keeper) -> list[str]:
            keeper.shut(lambda draft: draft.expire())
            return self._publish(keeper, self._spool, adds=False)

        return self._carry_out(clean, "cleanup", {}, lambda rows: sorted({str(row["address"]) for row in rows}))

    def generate_relay_file(self) -> None:
        """Write the relay file, then make the database and restart the mail program, as configured.

        Creates the spool if it is missing. Raises MapError if a command fails; the file is whole, and what failed is
        owed until it has been done.
        """

        async def generate(keeper: Keeper) -> None:
            keeper.shut(lambda draft: draft.expire())
            self._publish(keeper, self._spool)
            self._publish(keeper, self._text, anew=True)

        self._carry_out(generate, "cleanup", {}, lambda _: None)

    def restart_mail_program(self) -> None:
        """Run `mailProgramRestartCommand`, whether `mailProgramRestart` is set or not. Raises MapError if it fails."""
        legacy = self._document.legacy
        try:
            command = read_command(legacy.text("mailProgramRestartCommand"), legacy.words)
        except ValueError as error:
            where = legacy.where("mailProgramRestartCommand")
            raise ConfigError([f"{where}: mailProgramRestartCommand: it {error}; write a program"]) from None
        run(command.run, timeout=RESTART_WITHIN, stdin=command.stdin)

    def add_relay_address(self, user: str, address: str) -> bool:
        """Let this user's address relay for one period from now; whether that is new.

        Raises Refused if it is no address, or one that is never a client's.
        """
        key = canonical(address)
        if key is None:
            raise Refused(f"{address!r} is not one full IPv4 or IPv6 address")

        async def add(keeper: Keeper) -> bool:
            changes = await keeper.open(lambda draft: draft.allow(key, user, by="add_relay_address"))
            self._publish(keeper, self._spool, removes=False)
            return any(isinstance(change, Opened) for change in changes)

        arguments = {"address": key, "user": user, "reason": "add_relay_address"}
        return self._carry_out(add, "allow", arguments, lambda rows: any(row["change"] == "opened" for row in rows))

    def clean_up(self) -> None:
        """What `poprelay_cleanup` does: remove what has expired, from the relay file too; add nothing."""

        async def clean(keeper: Keeper) -> None:
            keeper.shut(lambda draft: draft.expire())
            for target in (self._spool, self._text):
                self._publish(keeper, target, adds=False)

        self._carry_out(clean, "cleanup", {}, lambda _: None)

    # the original's spelling
    wipeRelayDirectory = wipe_relay_directory  # noqa: N815 - Mail::POPRelay's own name
    cleanRelayDirectory = clean_relay_directory  # noqa: N815 - the same
    generateRelayFile = generate_relay_file  # noqa: N815 - the same
    restartMailProgram = restart_mail_program  # noqa: N815 - the same
    addRelayAddress = add_relay_address  # noqa: N815 - the same

    def _read(self) -> LegacyDocument:
        return read_old(self._path, agent=self._agent, options=self._options)

    @property
    def _spool(self) -> Map:
        spool: Map = self._config.maps[0].object
        return spool

    @property
    def _text(self) -> Map:
        text: Map = self._config.maps[1].object
        return text

    def _publish(
        self, keeper: Keeper, target: Map, *, adds: bool = True, removes: bool = True, anew: bool = False
    ) -> list[str]:
        """Make one map equal to the ledger; the addresses that left it. Raises MapError."""
        now = keeper.clock.now()
        try:
            if anew and isinstance(target, Derived):
                target.make_anew()
            held = target.keys()
            allowed = {grant.address for grant in keeper.ledger.grants(now)}
            found = [(key, keeper.ledger.entry(key, now)) for key in allowed if adds]
            surplus = held - allowed if removes else set()
            target.change([Entry(key, *entry) for key, entry in found if entry is not None], surplus)
            return sorted(filter(canonical, surplus))
        finally:
            target.close()

    def _carry_out(
        self,
        work: Callable[[Keeper], Awaitable[T]],
        operation: str,
        arguments: Row,
        answered: Callable[[Sequence[Row]], T],
    ) -> T:
        """Work on the ledger, or let the daemon that holds it do the like."""
        try:
            return asyncio.run(self._work(work))
        except AlreadyRunning:
            listen = self._config.settings.control.listen
            return answered([*ask(connect(listen.unix or Path("/nonexistent")), operation, arguments)])

    async def _work(self, work: Callable[[Keeper], Awaitable[T]]) -> T:
        set_up_logging(LogSettings(level="warning"))
        make_room(self._config)
        async with judged_ledger(self._config, lambda: look_around(ask_mta=False)[0], patience=0.0) as keeper:
            return await work(keeper)


class Daemon(POPRelay):
    """One Mail::POPRelay config, and the daemon that follows its log."""

    def run(self, *, log_to: str = "") -> None:
        """Live until SIGTERM, which wipes spool and relay file. SIGHUP reads the config again, cleans and regenerates.

        `log_to` is `stderr` or `syslog`. Raises what keeps the daemon from starting.
        """
        from poprelay.daemon.daemon import Daemon as Ours  # noqa: PLC0415 - its methods need none of that

        def read(_path: Path) -> Config:
            document = self._read()
            self._document, self._config = document, logging_to(old_config(document, self._path), log_to)
            return self._config

        asyncio.run(Ours(self._path or Path("options"), read=read).run())
