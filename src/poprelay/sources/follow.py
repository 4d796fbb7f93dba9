"""Follows one log through all the files that it is rotated into: each line once, in the order of the files.

What decides, in the order of a look:

- What was read is compared with the file again at every read. If it is not there any more, the file was truncated: its
  copy is looked for among the siblings by the fingerprint and finished first (a half line at its end is joined with the
  start of the truncated file, for the writer never knew), then the file is read from its start.
- A file is left only when the log has a next file with something in it, and the old one has nothing new at another look
  after that. A writer that reopens its log has then written its last line to the old file. While the next file is still
  empty there is nothing to gain by leaving.
- A file that was left lingers (see `lingering`): it stays open, and is looked at, until nothing was added to it for a
  while. So a slow writer loses nothing, and a writer that never reopens its log does not keep us from the new one.
- The next file is the one after ours among the rotated ones, which may be many after a time without us; the log's own
  name comes last. Where ours is gone, or nothing of it was read and so nothing can be known again, it is the one after
  the file that we read before.
- Before the first byte of a file is read, files between that one and this are looked for: a log may have been written,
  copied and truncated while we did not look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Final

import msgspec
import structlog

from poprelay.model import Instant
from poprelay.sources.absence import Absence
from poprelay.sources.lines import Block, Lines
from poprelay.sources.lingering import Lingering
from poprelay.sources.place import Identity, Position
from poprelay.sources.reading import Reading, Truncated
from poprelay.sources.rotation import Entry, Listing, directories, live_entry
from poprelay.sources.search import search

log = structlog.get_logger()

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
        self._absence = Absence(path, elapsed)
        self._start = start
        self._written = start.written or 0.0
        self._behind = start.behind
        self._lingering = Lingering(elapsed)
        self._at_end = at_end
        self._current_first = False
        self._unsettled = 0

    @property
    def is_missing(self) -> bool:
        """Whether there was no file of the log's name at the last look."""
        return self._absence.is_missing

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
                if reading is self.current and reading.is_untouched and reading.size() and self._overtaken(reading):
                    return Look(more=True)
                block, size = reading.read(limit)
            except Truncated:
                self._truncated(reading)
                return Look(more=True)
            if size:
                self._written = max(self._written, reading.modified)
                self._current_first = reading is not self.current
                if self._current_first:
                    self._lingering.has_spoken(reading)
                filled = reading.is_packed or size >= limit
                caught_up = not filled and reading is self.current and self._is_live()
                return Look(block, reading.modified, more=True, filled=filled, caught_up=caught_up)
        return None

    def _rest(self) -> Look:
        """At the end of what there is: see to the files."""
        self._lingering.let_go()
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
            behind=self._behind,
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
        if self.current is not None:
            self.current.close()
        self.current = None
        self._lingering.close()

    def _turns(self) -> list[Reading]:
        """In the order to read: late lines first, but never the same file twice in a row while others wait."""
        if self.current is None:
            return list(self._lingering)
        return [self.current, *self._lingering] if self._current_first else [*self._lingering, self.current]

    def _is_live(self) -> bool:
        live = live_entry(self.path)
        self._absence.note(is_missing=live is None)
        return live is not None and self.current is not None and live.identity == self.current.identity

    def _begin(self) -> bool:
        """Find the file where we stopped, or the first one; False while there is none."""
        listing = Listing.of(self.path)
        self._absence.note(is_missing=listing.live is None)
        if self._start.written is not None:
            self.current = self._find(listing)
        else:
            for entry in reversed(listing.rotated):
                if (last := self._open(entry, listing)).glimpse():
                    self._behind = last.mark()
                last.close()
                if self._behind is not None:
                    break
            if listing.live is not None:
                self.current = self._open(listing.live, listing)
            old = listing.rotated
            if self.current is not None and self._at_end:
                self.current.skip_to_end()
                old = listing.chain
            self._written = max((entry.modified for entry in old), default=0.0)
            self._start = Position(behind=self._behind, written=self._written)
        return self.current is not None

    def _find(self, listing: Listing) -> Reading | None:
        """Where we stopped; if that is nowhere, at what was written since, or else at the start of the live file."""
        late = [reading for place in self._start.lingering if (reading := search(listing, place)) is not None]
        found = self._again(listing) or self._anew(listing, {reading.identity for reading in late if reading.offset})
        for reading in late:
            # Another file may have got the inode of one of which nothing was read; only an earlier one can be that.
            later = {entry.identity for entry in listing.after(reading.identity) or ()}
            if found is not None and (reading.offset or found.identity in later):
                self._lingering.add(reading)
            else:
                reading.close()
        return found

    def _again(self, listing: Listing) -> Reading | None:
        """The file where we stopped, known by its content."""
        place = self._start.current
        if place is None or not place.offset:
            return None
        found = search(listing, place)
        live = listing.live.identity if listing.live is not None else None
        if found is not None and found.identity != live == place.identity and not found.is_packed:
            # Only a copy and a truncation leave our content in another plain file while the name still has our inode.
            found.copy_of = live
        return found

    def _anew(self, listing: Listing, known: Set[Identity]) -> Reading | None:
        """The first file that is news, or else the live one."""
        live = {listing.live.identity} if listing.live is not None else set[Identity]()
        found = self._first_filled(self._news(listing), listing, known - live, even=listing.live)
        if found is None:
            return None
        place = self._start.current
        if place is not None and (place.copy_of or not place.offset):
            found.lines = Lines(place.partial, skipping=place.skipping)
            found.copy_of = place.copy_of if place.copy_of != found.identity else None
        log.info("log begins anew", path=str(self.path), reading=str(found.path))
        return found

    def _truncated(self, reading: Reading) -> None:
        """Go on in the copy that was made before the truncation, or else at the start."""
        if reading is not self.current:
            self._lingering.drop(reading)
            return
        place, listing = reading.place(), Listing.of(self.path)
        copy = search(listing, place, but=reading.identity)
        log.info("log was truncated", path=str(self.path), copy=str(copy.path) if copy else None)
        if copy is None:
            reading.restart()
        else:
            copy.copy_of = reading.identity
            reading.close()
            self.current = copy

    def _overtaken(self, current: Reading) -> bool:
        """Before the first byte of a file is read: was it written, copied and truncated while we did not look?

        Nothing that we know would show that, but then there are files before it that are news.
        """
        start = current.glimpse()
        current.refresh()
        listing = Listing.of(self.path)
        news = self._news(listing)
        there = {entry.identity: index for index, entry in enumerate(news)}
        at = there.get(current.identity)
        if at is None and start and (copy := search(listing, current.mark())) is not None:
            copy.close()
            at = there.get(copy.identity)
        before = [entry for entry in news if entry.modified < current.modified] if at is None else news[:at]
        earlier = self._first_filled(before, listing, self._lingering.identities, but=start)
        if earlier is None:
            return False
        earlier.lines, current.lines = current.lines, Lines()
        is_live = listing.live is not None and listing.live.identity == current.identity
        if at is not None:
            earlier.copy_of = current.identity
        if is_live or (at is not None and start):
            current.close()  # its turn comes again
        else:
            self._lingering.add(current)
        self.current = earlier
        return True

    def _advance(self) -> bool:
        """Go on to the next file if there is one with something in it; True if it is worth looking again at once."""
        current = self.current
        if current is None:
            return False
        is_live = self._is_live()
        if current.is_untouched and self._overtaken(current):
            return True
        if is_live:
            return False
        following = self._next(current)
        if following is None or following is self.current:
            return following is not None
        if current.lag():
            following.close()
            return True
        if current.copy_of is not None:
            to_come = {entry.identity for entry in Listing.of(self.path).after(following.identity) or ()}
            if current.copy_of in to_come | {following.identity}:
                following.lines = Lines(current.lines.partial, skipping=current.lines.skipping)
            if current.copy_of in to_come:
                following.copy_of = current.copy_of
        log.info("log was rotated", path=str(self.path), finished=str(current.path))
        self._has_read(current)
        self.current = following
        if current.is_packed or (current.copy_of and (current.lines.partial or current.lines.skipping)):
            current.close()
        else:
            self._lingering.add(current)
        return True

    def _next(self, current: Reading) -> Reading | None:
        """The file to read after the current one; the current one itself if it was found again elsewhere."""
        listing = Listing.of(self.path)
        entries = listing.after(current.identity)
        if entries is None:
            found = search(listing, current.place())
            if found is not None and found.identity != current.identity:
                # It was compressed, or its directory was copied and replaced: read on there, where we were.
                found.copy_of = current.copy_of
                current.close()
                self.current = found
                return found
            if found is not None:
                found.close()
            self._has_read(current)
            entries = self._news(listing)
        known = self._lingering.identities | {current.identity}
        return self._first_filled(entries, listing, known)

    def _news(self, listing: Listing) -> tuple[Entry, ...]:
        """What was written after the file behind us."""
        if self._behind is None:
            return listing.chain
        found = search(listing, self._behind)
        if found is not None:
            found.close()
        after = listing.after(found.identity) if found is not None else None
        return after if after is not None else listing.since(self._written)

    def _first_filled(
        self,
        entries: Iterable[Entry],
        listing: Listing,
        known: Set[Identity],
        *,
        but: bytes = b"",
        even: Entry | None = None,
    ) -> Reading | None:
        """The first file that has anything in it, is not known and does not begin with `but`. Raises _Changed.

        `even` will do though it is empty. An empty one before it may still have its writer, and lingers.
        """
        heads = [but, *(reading.head for reading in self._lingering)]  # of which this may be a compressed copy
        empty: Reading | None = None
        try:
            for entry in entries:
                if entry.identity in known:
                    continue
                reading = self._open(entry, listing)
                start = reading.glimpse()
                if entry is even or (start and not _is_one_of(start, heads)):
                    if empty is not None:
                        self._lingering.add(empty)
                        empty = None
                    return reading
                if empty is not None:
                    empty.close()
                empty = None
                if reading.size() or entry is listing.live:
                    reading.close()
                else:
                    empty = reading
            return None
        finally:
            if empty is not None:
                empty.close()

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

    def _has_read(self, reading: Reading) -> None:
        """Nothing that was written to it so far is news."""
        reading.refresh()
        self._written = max(self._written, reading.modified)
        if reading.offset:
            self._behind = reading.mark()


def _is_one_of(start: bytes, heads: Iterable[bytes]) -> bool:
    """Whether a file that starts so may be one of those that begin with these bytes (of nothing, nobody can say)."""
    return any(head and (start.startswith(head) or head.startswith(start)) for head in heads)
