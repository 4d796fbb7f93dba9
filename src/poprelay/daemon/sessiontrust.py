"""Whose word on open sessions counts: that of a source whose log is read up to now, or was a moment ago.

The logout of any other may stand in what nobody has read. Its sessions are not over for that: they count again once it
has caught up.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

from poprelay.ledger.terms import SLACK
from poprelay.model import Instant

if TYPE_CHECKING:
    from poprelay.daemon.follower import Follower
    from poprelay.daemon.keeper import Keeper

FRESH: Final = 5.0
"""Seconds for which a busy log may not have been read to its end, and still counts as read up to now."""
PIECE: Final = 200
"""Addresses looked at before lookups get a turn."""
AWAY: Final = 60.0
"""Seconds for which a source may be away while its sessions still hold: a restart cuts nobody off."""


def is_recent(beat: Instant, now: Instant) -> bool:
    """Whether a daemon read the logs a moment ago. If that was after now the clock was set back, and it says nothing.

    >>> is_recent(1000.0, 1030.0), is_recent(1000.0, 1090.0), is_recent(1000.0, 900.0)
    (True, False, False)
    """
    return -SLACK <= now - beat < AWAY


def sources_without_daemon(last_beat: Instant, now: Instant) -> frozenset[str] | None:
    """Those whose sessions hold where no daemon runs, as `Ledger.read_sources` says it: all for a moment, then none."""
    return None if is_recent(last_beat, now) else frozenset()


class SessionTrust:
    """Remembers when each source was last read up to now, and lets ledger and maps go by it.

    `last_beat` is when a daemon last had read them all.
    """

    def __init__(self, keeper: Keeper, sources: Iterable[str], last_beat: Instant) -> None:
        self._keeper = keeper
        self._current_at: dict[str, float] = {}
        self._unlooked: frozenset[str] = frozenset()
        """Sources whose sessions may count since, or may not, without the maps having looked."""
        self._looking: asyncio.Task[None] | None = None
        now = keeper.clock.now()
        if is_recent(last_beat, now):
            self._current_at = dict.fromkeys(sources, keeper.clock.monotonic() - (now - last_beat))
        self._trust()

    def look(self, sources: Iterable[str], followers: Mapping[str, Follower]) -> bool:
        """See how the sources of the config are; whether all are read up to now.

        To be repeated twice a second: a grant that only a doubted session would hold is not closed when its period
        ends, but leaves the maps.
        """
        known, self._current_at = self._current_at, {}
        for name in sources:
            follower = followers.get(name)
            at = follower.current_at() if follower is not None else None
            at = known.get(name) if at is None else at
            if at is not None:
                self._current_at[name] = at
        self._trust()
        now = self._keeper.clock.monotonic()
        return all(now - self._current_at.get(name, -math.inf) < FRESH for name in sources)

    async def stop(self) -> None:
        """Let the maps be."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def _trust(self) -> None:
        ledger = self._keeper.ledger
        soonest = self._keeper.clock.monotonic() - AWAY
        trusted = frozenset(name for name, at in self._current_at.items() if at > soonest)
        before, ledger.read_sources = ledger.read_sources or frozenset(), trusted
        self._unlooked |= (trusted ^ before) | (ledger.session_sources() - trusted)
        if self._unlooked and self._keeper.publishers and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_at_maps(), name="look at sessions")

    async def _look_at_maps(self) -> None:
        """Let maps look again at whom a session may hold, where they differ from what is so now."""
        keeper = self._keeper
        while self._unlooked:
            sources, self._unlooked = self._unlooked, frozenset()
            addresses = keeper.ledger.with_sessions(sources)
            while piece := tuple(islice(addresses, PIECE)):
                allowed = {address for address in piece if keeper.ledger.allows(address, keeper.clock.now())}
                for publisher in keeper.publishers:
                    publisher.touch(each for each in piece if publisher.differs(each, allowed=each in allowed))
                await asyncio.sleep(0)
