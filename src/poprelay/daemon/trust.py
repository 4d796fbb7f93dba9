"""Whose word on open sessions counts: that of a source whose log is read up to now, or was a moment ago.

The logout of any other may stand in what nobody has read. Its sessions are not over for that: they count again once it
has caught up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from poprelay.clock import Clock
from poprelay.ledger.terms import SLACK
from poprelay.model import Instant

if TYPE_CHECKING:
    from poprelay.daemon.follower import Follower

FRESH: Final = 5.0
"""Seconds for which a busy log may not have been read to its end, and still counts as read up to now."""
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


class Trust:
    """Remembers when each source was last read up to now. `last_beat` is when a daemon last read them all."""

    def __init__(self, sources: Iterable[str], clock: Clock, last_beat: Instant) -> None:
        self._clock = clock
        since = clock.now() - last_beat
        self._current_at: dict[str, float] = {}
        if is_recent(last_beat, clock.now()):
            self._current_at = dict.fromkeys(sources, clock.monotonic() - since)

    def trusted(self) -> frozenset[str]:
        """The sources whose sessions hold, as of the last `look`."""
        soonest = self._clock.monotonic() - AWAY
        return frozenset(name for name, at in self._current_at.items() if at > soonest)

    def look(self, sources: Iterable[str], followers: Mapping[str, Follower]) -> bool:
        """See how the sources of the config are; whether all are read up to now."""
        known, self._current_at = self._current_at, {}
        for name in sources:
            follower = followers.get(name)
            at = follower.current_at() if follower is not None else None
            at = known.get(name) if at is None else at
            if at is not None:
                self._current_at[name] = at
        now = self._clock.monotonic()
        return all(now - self._current_at.get(name, -math.inf) < FRESH for name in sources)
