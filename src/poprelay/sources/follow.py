"""Follows one log through all the files that it is rotated into: each line once, in the order of the files.

What decides, in the order of a look:

- What was read is compared with the file again at every read. If it is not there any more, the file was truncated: its
  copy is looked for among the siblings by the fingerprint and finished first (a half line at its end is joined with the
  start of the truncated file, for the writer never knew), then the file is read from its start.
- A file is left only when the log has a next file with something in it, and the old one has nothing new at another look
  after that. A writer that reopens its log has then written its last line to the old file. While the next file is still
  empty there is nothing to gain by leaving.
- A file that was left lingers: it stays open, and is looked at, until nothing was added to it for `LINGER` seconds. So
  a slow writer loses nothing, and a writer that never reopens its log does not keep us from the new one.
- The next file is the one after ours among the rotated ones, which may be many after a time without us; the log's own
  name comes last. If ours is gone without a trace, all that was written after it comes next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Final

import msgspec
import structlog

from poprelay.model import Instant
from poprelay.sources.lines import Block, Lines
from poprelay.sources.place import Identity, Position
from poprelay.sources.reading import Reading, Truncated
from poprelay.sources.rotation import Entry, Listing, directories, live_entry
from poprelay.sources.search import search

log = structlog.get_logger()

LINGER: Final = 600.0
"""Seconds without a new line after which a rotated file is let go."""
LINGER_DELETED: Final = 10.0
"""The same for one that was deleted: it takes up disk space while it is open."""
LINGERING: Final = 4
"""Rotated files kept open at most."""
UNSETTLED: Final = 20
"""Looks in a row at a directory that changes under us, after which we wait for the next event."""


class Look(msgspec.Struct, frozen=True, gc=False):
    """What one look brought. `more`: look again at once. `filled`: all that was asked for was there.

    `modified` is when the file that was read had last been written; `caught_up` that nothing more waits now.
    """

    block: Block = Block(b"")
    modified: Instant = 0.0
    more: bool = False
    filled: bool = False
    caught_up: bool = False


class _Changed(Exception):
    pass


class Trail:
    """The files of one log: the current one, those that linger, and what comes next. Everything here blocks.

    `start` is where we stopped. If it names no file the log is read from its start, or from its end if `at_end`.
    """

    def __init__(
        self,
        path: Path,
        start: Position,
        *,
        at_end: bool = False,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.current: Reading | None = None
        self.is_missing = False
        self._start = start
        self._written = start.written or 0.0
        self._lingering: list[Reading] = []
        self._quiet_since: dict[Reading, float] = {}
        self._at_end = at_end
        self._elapsed = elapsed
        self._current_first = False
        self._unsettled = 0

    def look(self, limit: int) -> Look:
        """Read at most `limit` bytes. Raises SourceError, and OSError if the filesystem fails."""
        try:
            if self.current is None and not self._begin():
                return Look(caught_up=True)
            return self._read(limit) or self._rest()
        except _Changed:
            self._unsettled += 1
            more = self._unsettled < UNSETTLED
            return Look(more=more, caught_up=not more)

    def _read(self, limit: int) -> Look | None:
        """What can be read now; None if all files are at their end."""
        for reading in self._turns():
            try:
                block, size = reading.read(limit)
            except Truncated:
                self._truncated(reading)
                return Look(more=True)
            if size:
                self._written = max(self._written, reading.modified)
                self._current_first = reading is not self.current
                if self._current_first:
                    self._quiet_since[reading] = self._elapsed()
                filled = reading.is_packed or size >= limit
                caught_up = not filled and reading is self.current and self._is_live()
                return Look(block, reading.modified, more=True, filled=filled, caught_up=caught_up)
        return None

    def _rest(self) -> Look:
        """At the end of what there is: see to the files."""
        self._let_go()
        more = self._advance()
        self._unsettled = 0
        return Look(more=more, caught_up=not more)

    def position(self, scanner: bytes) -> Position:
        """Where reading stands, together with what the scanner remembers."""
        if self.current is None:
            return msgspec.structs.replace(self._start, scanner=scanner)
        return Position(
            current=self.current.place(),
            lingering=tuple(reading.place() for reading in self._lingering),
            written=self._written,
            scanner=scanner,
        )

    def lag(self) -> int:
        """Bytes that are known to wait."""
        return sum(reading.lag() for reading in self._turns())

    def watched(self) -> dict[Identity, Path]:
        """Files and directories where something may happen that makes another look worth while."""
        paths = [*directories(self.path), self.path]
        if self.current is not None:
            paths.append(Path(f"/proc/self/fd/{self.current.descriptor}"))
        return {entry.identity: path for path in paths if (entry := live_entry(path)) is not None}

    def close(self) -> None:
        for reading in self._turns():
            reading.close()
        self.current = None
        self._lingering.clear()

    def _turns(self) -> list[Reading]:
        """In the order to read: late lines first, but never the same file twice in a row while others wait."""
        if self.current is None:
            return list(self._lingering)
        return [self.current, *self._lingering] if self._current_first else [*self._lingering, self.current]

    def _is_live(self) -> bool:
        live = live_entry(self.path)
        self.is_missing = live is None
        return live is not None and self.current is not None and live.identity == self.current.identity

    def _begin(self) -> bool:
        """Find the file where we stopped, or the first one; False while there is none."""
        listing = Listing.of(self.path)
        self.is_missing = listing.live is None
        if self._start.written is not None:
            self.current = self._find(listing)
        else:
            if listing.live is not None:
                self.current = self._open(listing.live, listing)
            old = listing.rotated
            if self.current is not None and self._at_end:
                self.current.skip_to_end()
                old = listing.chain
            self._written = max((entry.modified for entry in old), default=0.0)
            self._start = Position(written=self._written)
        return self.current is not None

    def _find(self, listing: Listing) -> Reading | None:
        """Where we stopped; if that is nowhere, at what was written since, or else at the start of the live file."""
        sought = self._start.current
        late = [found for place in self._start.lingering if (found := search(listing, place)) is not None]
        # A file of which nothing was read has no fingerprint, and another one may have got its inode since.
        found = search(listing, sought) if sought is not None and sought.offset else None
        if sought is not None and found is not None:
            live = listing.live.identity if listing.live is not None else None
            # Only a copy and a truncation leave our content in another plain file while the name still has our inode.
            copied = live == sought.identity and not found.is_packed
            found.joins = found.identity != live and (sought.joins or copied)
        else:
            known = {reading.identity for reading in late}
            found = self._first_filled(listing.since(self._written), listing, known)
            if found is None and listing.live is not None:
                found = self._open(listing.live, listing)
            if found is None:
                for reading in late:
                    reading.close()
                return None
            log.info("log begins anew", path=str(self.path), reading=str(found.path))
        for reading in late:
            self._linger(reading)
        return found

    def _truncated(self, reading: Reading) -> None:
        """Go on in the copy that was made before the truncation, or else at the start."""
        if reading is not self.current:
            self._drop(reading)
            return
        place, listing = reading.place(), Listing.of(self.path)
        copy = search(listing, place, but=reading.identity)
        log.info("log was truncated", path=str(self.path), copy=str(copy.path) if copy else None)
        if copy is None:
            reading.restart()
        else:
            copy.joins = True
            reading.close()
            self.current = copy

    def _advance(self) -> bool:
        """Go on to the next file if there is one with something in it; True if it is worth looking again at once."""
        current = self.current
        if current is None or (self._is_live() and current.offset):
            return False
        following = self._next(current)
        if following is None or following is self.current:
            return following is not None
        if current.lag():
            following.close()
            return True
        if current.joins:
            following.lines = Lines(current.lines.partial, skipping=current.lines.skipping)
            following.joins = not self._names(following)
        log.info("log was rotated", path=str(self.path), finished=str(current.path))
        self.current = following
        if current.is_packed or current.joins:
            current.close()
        else:
            self._linger(current)
        return True

    def _next(self, current: Reading) -> Reading | None:
        """The file to read after the current one; the current one itself if it was found again elsewhere."""
        listing = Listing.of(self.path)
        entries = listing.after(current.identity)
        if entries is None:
            found = search(listing, current.place())
            if found is not None and found.identity != current.identity:
                # It was compressed, or its directory was copied and replaced: read on there, where we were.
                found.joins = current.joins
                current.close()
                self.current = found
                return found
            if found is not None:
                found.close()
            current.refresh()
            self._written = max(self._written, current.modified)
            entries = listing.since(self._written)
        if not current.offset and not current.is_packed:
            # Whatever this file held before may have been copied away, and nothing of it would tell us. (A packed one
            # held nothing, and reading goes on behind it: two such would send us to and fro for ever.)
            entries = listing.since(self._written)
        known = {reading.identity for reading in self._lingering} | {current.identity}
        return self._first_filled(entries, listing, known)

    def _first_filled(self, entries: Iterable[Entry], listing: Listing, known: Set[Identity]) -> Reading | None:
        """The first of the files that has anything in it and is not known. Raises _Changed."""
        for entry in entries:
            if entry.identity in known:
                continue
            reading = self._open(entry, listing)
            if reading.size():
                return reading
            reading.close()
        return None

    def _open(self, entry: Entry, listing: Listing) -> Reading:
        """Open what was listed; if the directory has changed since, the order of its files is in doubt: _Changed."""
        try:
            reading = Reading(entry.path)
        except FileNotFoundError:
            raise _Changed from None
        if reading.identity == entry.identity and listing.same_files(Listing.of(self.path)):
            return reading
        reading.close()
        raise _Changed

    def _names(self, reading: Reading) -> bool:
        live = live_entry(self.path)
        return live is not None and live.identity == reading.identity

    def _linger(self, reading: Reading) -> None:
        self._lingering.append(reading)
        self._quiet_since[reading] = self._elapsed()
        if len(self._lingering) > LINGERING:
            self._drop(self._lingering[0])

    def _let_go(self) -> None:
        now = self._elapsed()
        for reading in tuple(self._lingering):
            patience = 0.0 if reading.is_packed else LINGER_DELETED if reading.is_deleted() else LINGER
            if now - self._quiet_since[reading] >= patience:
                self._drop(reading)

    def _drop(self, reading: Reading) -> None:
        if reading.lines.partial:
            log.info("rotated log ends in half a line, which is left out", path=str(reading.path))
        self._lingering.remove(reading)
        del self._quiet_since[reading]
        reading.close()
