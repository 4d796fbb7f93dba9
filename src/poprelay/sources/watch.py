"""Wakes a source as soon as something happens to its files, where the system has inotify.

Nothing depends on it: what it misses, the look each second sees.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from poprelay.sources.place import Identity

if TYPE_CHECKING:
    import asyncinotify

log = structlog.get_logger()


class Watch:
    """Watches files for writing, and directories for names that come, change and go.

    `update` may block, and is called from the thread that reads; all else from the event loop. What cannot be watched
    (no more watches, gone meanwhile) is left to the 1 s look, and so is what an overflowing queue drops.
    """

    def __init__(self, inotify: asyncinotify.Inotify) -> None:
        self._inotify = inotify
        self._watches: dict[Identity, asyncinotify.Watch] = {}
        inotify.sync_timeout = 0

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the event loop after every event."""

        def drain() -> None:
            while self._inotify.sync_get() is not None:
                pass
            wake()

        asyncio.get_running_loop().add_reader(self._inotify.fd, drain)

    def update(self, wanted: Mapping[Identity, Path]) -> bool:
        """Watch exactly these. True if something new is watched, which may have changed just before."""
        import asyncinotify  # noqa: PLC0415 - only where `open_watch` found it

        mask = asyncinotify.Mask
        names = mask.CREATE | mask.MOVE | mask.DELETE | mask.DELETE_SELF | mask.MOVE_SELF
        alive = {watch.wd for watch in self._inotify.watches}
        for identity, watch in tuple(self._watches.items()):
            if identity not in wanted or watch.wd not in alive:  # a deleted file's inode may be another file's by now
                del self._watches[identity]
                with contextlib.suppress(OSError):
                    self._inotify.rm_watch(watch)
        fresh = wanted.keys() - self._watches.keys()
        for identity in fresh:
            with contextlib.suppress(OSError):
                path = wanted[identity]
                self._watches[identity] = self._inotify.add_watch(path, names if path.is_dir() else mask.MODIFY)
        return bool(fresh & self._watches.keys())

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._inotify.fd)

    def close(self) -> None:
        self._inotify.close()


def open_watch() -> Watch | None:
    """None where there is no inotify, or no more of it; the log says so, once."""
    try:
        import asyncinotify  # noqa: PLC0415 - other systems do not have it

        return Watch(asyncinotify.Inotify())
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        _say_missing(str(error) or type(error).__name__)
        return None


@cache
def _say_missing(why: str) -> None:
    log.info("no inotify; logs are looked at once a second", why=why)
