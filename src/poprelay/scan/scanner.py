"""The engine: a block of whole lines becomes events. The same for following, `match`, `replay` and catching up.

One pass of an Aho-Corasick automaton over the block looks for the needles of all agents at once; only a line with a
needle is looked at: the short way (`scan.swift`), or its header once and then by the agents whose program it names.
Lines end at a newline byte and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import tzinfo
from typing import Final, TypeAlias

import ahocorasick_rs
import msgspec

from poprelay.agents.base import Agent
from poprelay.agents.perl import LONGEST
from poprelay.model import Event, Instant, Origin
from poprelay.scan.headers import HEAD, Header, split
from poprelay.scan.reader import Reader
from poprelay.scan.roster import Roster
from poprelay.scan.rows import MARK, Columns
from poprelay.scan.scanned import Scanned
from poprelay.scan.sessions import Kept, Sessions
from poprelay.scan.stamps import Stamps

LINE_LIMIT: Final = 65536
"""Bytes of a line beyond which it is not looked at."""

_MOST: Final = 4096  # hosts, and openings, remembered at once
_HEAD: Final = re.compile(HEAD)

_Line: TypeAlias = tuple[Instant, list[Reader], Origin, bytes, bytes]  # the last two: message, process id


class _State(msgspec.Struct, omit_defaults=True):
    """What must outlive a restart so that reading on gives the same. Absent fields have their defaults."""

    last: Instant | None = None
    sessions: list[Kept] = []
    columns: list[str] = []


class Scanner:
    """Reads one source's log with these agents. Stateful: lines are given in their order.

    `zone` is what the log's stamps mean where they do not say (None: this host's). `hosts`, if any, are the only ones
    whose lines count. `near_misses` keeps the lines that look like logins. Raises AgentError: see `scan.needles`.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        *,
        source: str,
        zone: tzinfo | None = None,
        hosts: Sequence[str] = (),
        near_misses: bool = False,
    ) -> None:
        self._source: Final = source
        self._hosts: Final = frozenset(host.lower() for host in hosts)
        self._keeps: Final = near_misses
        self._stamps: Final = Stamps(zone)
        self._sessions: Final = Sessions()
        self._columns: Final = Columns()
        self._origins: dict[bytes, Origin | None] = {}
        self._openings: dict[bytes, tuple[list[Reader], Origin]] = {}
        self._roster: Final = Roster(agents, self._sessions, self._columns)
        self.needles: Final = self._roster.needles
        self._find: Final = ahocorasick_rs.BytesAhoCorasick(
            self.needles, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest
        ).find_matches_as_indexes

    def scan(self, block: bytes, *, now: Instant, horizon: Instant) -> Scanned:
        """Everything that happened in `block`: whole lines, as read at `now`; a last line may lack its newline.

        No stamp without a year means a time after `horizon`: when the file was last written, and a day.
        """
        self._stamps.begin(now, horizon)
        seconds, quick, swifts = self._stamps.seconds, self._stamps.quick, self._roster.swifts
        back, forth, limit = block.rfind, block.find, LINE_LIMIT
        events: list[Event] = []
        begins: list[int] = []
        missed: list[int] = []
        end = -1
        for needle, start, _ in self._find(block):
            if start <= end:
                continue  # this line has been read
            begin = back(b"\n", 0, start) + 1
            end = forth(b"\n", start)
            if end < 0:
                end = len(block)
            if end - begin > limit:
                continue
            event = None
            swift = swifts[needle]
            if swift is not None:
                row = swift.rows(block, begin, end)[0]
                whose = swift.known.get(row[1])
                if whose is not None:
                    at = seconds.get(row[0]) or quick(row[0])
                    if at is not None:
                        make, origin = whose
                        event = make(row, at, origin, row[2])
            if event is None:
                event = self._event(block, begin, end, needle, missed)
            if event is not None:
                events.append(event)
                begins.append(begin)
        return Scanned(
            block,
            events,
            begins=begins,
            unmatched=len(missed),
            missed=missed if self._keeps else [],
            newest=self._newest(block),
        )

    def state(self) -> bytes:
        """What `restore` needs so that reading on after a restart gives the same events."""
        return msgspec.json.encode(_State(self._stamps.last, self._sessions.state(), self._columns.names))

    def restore(self, state: bytes) -> None:
        """Take up a state that `state` gave. ValueError: it is none."""
        try:
            read = msgspec.json.decode(state, type=_State)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a reading state: {error}") from error
        self._stamps.last = read.last
        self._sessions.restore(read.sessions)
        self._columns.names = read.columns

    def _event(self, block: bytes, begin: int, end: int, needle: int, missed: list[int]) -> Event | None:
        """What a line with that needle says; a near miss is noted in `missed`."""
        if self._roster.whole:
            event = self._read_whole(block[begin:end])
            if event is not None:
                return event
        line = self._known(block, begin, end, needle) or self._open(block[begin:end])
        if line is None:
            return None
        at, readers, origin, message, pid = line
        for reader in readers:
            event = reader.read(message, at, origin, pid, self._roster.ends[needle])
            if event is not None:
                return event
        if any(reader.is_near_miss(message) for reader in readers):
            missed.append(begin)
        return None

    def _known(self, block: bytes, begin: int, end: int, needle: int) -> _Line | None:
        """A line taken apart whose host and program `_open` has seen together; None if it must be asked."""
        head = _HEAD.match(block, begin, end)
        if head is None:
            return None
        stamp, opening, pid = head.groups(b"")
        known = self._openings.get(opening)
        at = self._stamps.seconds.get(stamp) or self._stamps.quick(stamp)
        if known is None or at is None:
            return None
        readers, origin = known
        swift = self._roster.swifts[needle]
        if swift is not None:
            swift.learn(opening, readers[0], origin)
        return at, readers, origin, block[head.end() : end], pid

    def _open(self, line: bytes) -> _Line | None:
        """Take apart a line with a needle; None if it is of no program, host or time that counts."""
        if line.startswith(MARK):
            self._columns.learn(line)
            return None
        header = split(line)
        readers = None if header is None else self._roster.readers(header.program)
        if header is None or readers is None:
            return None
        at = self._stamps.read(header.stamp)
        origin = self._origin(header.host)
        if at is None or origin is None:
            return None
        self._remember(line, header, readers, origin)
        return at, readers, origin, header.message, header.pid

    def _remember(self, line: bytes, header: Header, readers: list[Reader], origin: Origin) -> None:
        """What this line's host and program mean, if lines like it can be taken apart by `HEAD`."""
        head = _HEAD.match(line)
        opening = b" %s %s" % (header.host, header.program)
        if head is not None and head.groups(b"") == (header.stamp, opening, header.pid):
            if len(self._openings) >= _MOST:
                self._openings.clear()
            self._openings[opening] = (readers, origin)

    def _read_whole(self, line: bytes) -> Event | None:
        """What the agents for whole lines see in this one. Its time is still that of its header."""
        header = split(line) if len(line) <= LONGEST else None
        at = None if header is None else self._stamps.read(header.stamp)
        origin = None if header is None else self._origin(header.host)
        if header is None or at is None or origin is None:
            return None
        found = (reader.read(line, at, origin, header.pid, False) for reader in self._roster.whole)
        return next((event for event in found if event is not None and event.user is not None), None)

    def _origin(self, host: bytes) -> Origin | None:
        """Where a line of that host was read, or None if its lines do not count."""
        if host not in self._origins:
            if len(self._origins) >= _MOST:
                self._origins.clear()
            name = host.decode("utf-8", "surrogateescape")
            counts = not self._hosts or name.lower() in self._hosts
            self._origins[host] = Origin(self._source, name) if counts else None
        return self._origins[host]

    def _newest(self, block: bytes) -> Instant | None:
        end = len(block) - 1 if block.endswith(b"\n") else len(block)
        begin = block.rfind(b"\n", 0, end) + 1
        header = split(block[begin : min(end, begin + LINE_LIMIT)])
        return None if header is None else self._stamps.read(header.stamp)
