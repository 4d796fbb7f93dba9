"""The running sources, maps and services: become what a config says, and leave running what has not changed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import structlog

from poprelay.daemon.configure import Config, Configured
from poprelay.daemon.follower import Follower
from poprelay.daemon.formermaps import path_of, remembrance
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.publisher import Publisher
from poprelay.daemon.supervisor import Supervisor
from poprelay.errors import PoprelayError
from poprelay.services import Service

log = structlog.get_logger()

JUDGED = 0.5
"""Seconds at most between two attempts at a map: what must not be allowed any more has to go as soon as it can."""

Role: TypeAlias = Literal["source", "map", "service"]


class Parts:
    """What runs, by role and name. With `observe` nothing is published: no service listens, and of the maps only those
    that we have written before are kept, so that what is in them still ends. Without `adds`, maps only lose addresses.
    """

    def __init__(
        self,
        keeper: Keeper,
        supervisor: Supervisor,
        activated: Mapping[str, Sequence[socket.socket]],
        *,
        observe: bool = False,
        at_end: Callable[[], bool] = lambda: False,
        adds: bool = True,
    ) -> None:
        self.followers: dict[str, Follower] = {}
        self.publishers: dict[str, Publisher] = {}
        self.services: dict[str, Service] = {}
        self._keeper = keeper
        self._supervisor = supervisor
        self._activated = activated
        self._observe = observe
        self._at_end = at_end
        self._adds = adds
        self._running: dict[tuple[Role, str], Configured] = {}

    async def publish(self, config: Config) -> None:
        """Run the maps and services of `config`; those that it does not name, or names differently, stop.

        A map whose file it does not name any more is emptied, for nobody would take anything out of it again.
        """
        wanted: list[tuple[Role, Configured]] = []
        if self._observe:
            wanted += [("map", part) for part in config.maps if self._keeper.positions.get(remembrance(part)[0])]
        else:
            wanted += [("map", part) for part in config.maps]
            wanted += [("service", part) for part in config.services]
        paths = {path_of(part) for part in config.maps}
        for part in [part for (role, _), part in self._running.items() if role == "map"]:
            if path_of(part) not in paths and await self._empty(part.name):
                log.warning("map is not in the config any more, and was emptied", map=part.name)
                self._keeper.note(remembrance(part)[0], b"")
        await self._become(("map", "service"), wanted)

    async def publish_maps(self, config: Config) -> None:
        """Run only the maps of `config`."""
        await self._become(("map",), [("map", part) for part in config.maps])

    async def follow(self, config: Config) -> None:
        """Follow the sources of `config`; those that it does not name, or names differently, stop."""
        await self._become(("source",), [("source", part) for part in config.sources])

    async def stop(self, *roles: Role) -> None:
        """Stop everything in these roles."""
        await self._become(roles, [])

    def make_anew(self) -> None:
        """Let every map be compared with the ledger again, and made anew where a command makes it."""
        for publisher in self.publishers.values():
            publisher.make_anew()

    def hurry(self) -> None:
        """Let no map wait for its interval any more."""
        for publisher in self.publishers.values():
            publisher.hurry()

    async def empty_maps(self, by: float) -> None:
        """For the end of the daemon: remove every address from every map, and publish no more. One that hangs keeps
        nobody from the others, and is left when the loop's clock says `by`."""
        await asyncio.gather(*(self._empty(name, by) for name in self.publishers))

    async def end(self, by: float) -> None:
        """For the end of the daemon: stop the services, and the maps, each at the latest when the loop's clock says
        `by`."""
        await self.stop("service")
        await asyncio.gather(*(self._stop("map", name, by) for name in tuple(self.publishers)))

    def caught_up(self) -> bool:
        """Whether every source has read all that was waiting, or has nothing to read."""
        return all(
            one.caught_up.is_set() or one.condition().get("state") == "missing" for one in self.followers.values()
        )

    async def _empty(self, name: str, by: float | None = None) -> bool:
        """Remove every address from a map, and publish no more in it; False if that failed."""
        await self._supervisor.stop(f"map {name}")
        try:
            async with asyncio.timeout_at(by):
                await self.publishers[name].empty()
        except (PoprelayError, TimeoutError) as error:
            log.error("map could not be emptied", map=name, error=str(error) or "it hangs")
            return False
        return True

    async def _become(self, roles: Sequence[Role], wanted: Sequence[tuple[Role, Configured]]) -> None:
        keys = {(role, part.name): part for role, part in wanted}
        for key in [key for key in self._running if key[0] in roles]:
            part = keys.get(key)
            if part is None or part.spec != self._running[key].spec:
                await self._stop(*key)
        for (role, name), part in keys.items():
            if (role, name) not in self._running:
                self._running[role, name] = part
                self._start(role, part)

    def _start(self, role: Role, part: Configured) -> None:
        name = f"{role} {part.name}"

        def well() -> None:
            self._supervisor.well(name)

        if role == "source":
            follower = self.followers[part.name] = Follower(part.object, self._keeper, at_end=self._at_end)
            self._supervisor.start(name, lambda: follower.run(well))
        elif role == "map":
            adds = self._adds and not self._observe
            publisher = Publisher(part.object, self._keeper.ledger, self._keeper.clock.now, adds=adds)
            self.publishers[part.name] = publisher
            self._keeper.publishers.append(publisher)
            self._keeper.note(*remembrance(part))
            self._supervisor.start(name, lambda: publisher.run(well), longest=JUDGED)
        else:
            service = self.services[part.name] = part.object
            sockets = self._activated.get(str(part.spec.get("listen")), ())
            self._supervisor.start(name, lambda: self._serve(service, sockets, well))

    async def _stop(self, role: Role, name: str, by: float | None = None) -> None:
        del self._running[role, name]
        await self._supervisor.stop(f"{role} {name}")
        if role == "source":
            del self.followers[name]
            await self._keeper.idle()
        elif role == "map":
            publisher = self.publishers.pop(name)
            self._keeper.publishers.remove(publisher)
            await publisher.close(by=by)
        else:
            del self.services[name]

    async def _serve(self, service: Service, sockets: Sequence[socket.socket], well: Callable[[], None]) -> None:
        await service.start(self._keeper.find, sockets)
        well()
        try:
            await asyncio.Event().wait()
        finally:
            await service.stop()
