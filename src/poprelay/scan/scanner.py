"""The engine: a block of whole lines becomes events. The same for following, `match`, `replay` and catching up.

One pass of an Aho-Corasick automaton over the block looks for the needles of all agents at once; only a line with a
needle is looked at: its header once, then by the agents whose program it names. Lines end at a newline byte and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from itertools import accumulate, repeat
from typing import Final, TypeAlias

import ahocorasick_rs
import msgspec

from poprelay.agents.base import Agent
from poprelay.agents.perl import LONGEST
from poprelay.errors import AgentError
from poprelay.model import Event, Instant, Origin
from poprelay.scan.headers import split
from poprelay.scan.needles import needles
from poprelay.scan.reader import Reader
from poprelay.scan.stamps import Stamps

LINE_LIMIT: Final = 65536
"""Bytes of a line beyond which it is not looked at."""

_BLOB: Final = b'"MESSAGE":['  # a journal entry whose message is not UTF-8: bytes, in which no needle can be seen
_MOST: Final = 4096  # hosts, and openings, remembered at once

_OPENING: Final = 256  # bytes

_Line: TypeAlias = tuple[Instant, list[Reader], Origin, bytes, bytes]  # the last two: message, process id


class Scanned(msgspec.Struct, frozen=True):
    """What a block held.

    `numbers` gives for each event the index in the block, from 0, of the line that completed it. `unmatched` counts the
    lines that look like a login to an agent but match nothing; `near_misses` are those lines, with their index, if they
    were asked for. `newest` is the stamp of the last line, if it has one.
    """

    events: list[Event]
    numbers: list[int]
    lines: int
    unmatched: int
    near_misses: list[tuple[int, bytes]]
    newest: Instant | None


class _State(msgspec.Struct, omit_defaults=True):
    """What must outlive a restart so that reading on gives the same. Absent fields have their defaults."""

    last: Instant | None = None


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
        self._origins: dict[bytes, Origin | None] = {}
        self._openings: dict[bytes, tuple[int, list[Reader], Origin, bytes]] = {}
        self._readers: Final[dict[bytes, list[Reader]]] = {}
        logins: list[bytes] = []
        ends: list[bytes] = []
        self._whole: Final[list[Reader]] = []
        for agent in agents:
            if agent.whole_line:
                of_logins = _needles_of_lines(agent)
                logins += of_logins
                self._whole.append(Reader(agent, "", of_logins))
                continue
            of_logins, of_ends = needles(agent)
            logins += of_logins
            ends += of_ends
            for program in agent.programs:
                self._readers.setdefault(program.encode(), []).append(Reader(agent, program, of_logins))
        logins = list(dict.fromkeys([*logins, _BLOB])) if agents else []
        self._first_end: Final = len(logins)
        self.needles: Final = (*logins, *(text for text in dict.fromkeys(ends) if text not in logins))
        self._find: Final = ahocorasick_rs.BytesAhoCorasick(
            self.needles, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest
        ).find_matches_as_indexes

    def scan(self, block: bytes, *, now: Instant, horizon: Instant) -> Scanned:
        """Everything that happened in `block`: whole lines, as read at `now`; a last line may lack its newline.

        No stamp without a year means a time after `horizon`: when the file was last written, and a day.
        """
        self._stamps.begin(now, horizon)
        seconds, quick, openings = self._stamps.seconds, self._stamps.quick, self._openings
        first_end = self._first_end
        events: list[Event] = []
        begins: list[int] = []
        missed: list[int] = []
        end = -1
        for needle, start, _ in self._find(block):
            if start <= end:
                continue  # this line has been read
            begin = block.rfind(b"\n", 0, start) + 1
            end = block.find(b"\n", start)
            if end < 0:
                end = len(block)
            if end - begin > LINE_LIMIT:
                continue
            if self._whole:
                event = self._read_whole(block[begin:end])
                if event is not None:
                    events.append(event)
                    begins.append(begin)
                    continue
            space = block.find(b" ", begin + 7, end)
            colon = block.find(b": ", space, end) if space > 0 else -1
            at = opening = None
            if colon > 0:
                stamp = block[begin:space]
                at = seconds.get(stamp) or quick(stamp)
                opening = openings.get(block[space:colon])
            if at is not None and opening is not None and not block.startswith(b"[", colon + 2):
                skip, readers, origin, pid = opening
                message = block[space + skip : end]
            else:
                line = self._open(block[begin:end], space - begin, colon - begin)
                if line is None:
                    continue
                at, readers, origin, message, pid = line
            ends = needle >= first_end
            for reader in readers:
                event = reader.read(message, at, origin, pid, ends)
                if event is not None:
                    events.append(event)
                    begins.append(begin)
                    break
            else:
                if any(reader.is_near_miss(message, self.needles[needle]) for reader in readers):
                    missed.append(begin)
        numbers = _numbers(block, begins)
        counted, number = (begins[-1], numbers[-1]) if begins else (0, 0)
        near = missed if self._keeps else []
        return Scanned(
            events=events,
            numbers=numbers,
            lines=number + block.count(b"\n", counted) + (not block.endswith(b"\n") and block != b""),
            unmatched=len(missed),
            near_misses=list(zip(_numbers(block, near), (_line(block, begin) for begin in near), strict=True)),
            newest=self._newest(block),
        )

    def state(self) -> bytes:
        """What `restore` needs so that reading on after a restart gives the same events."""
        return msgspec.json.encode(_State(self._stamps.last))

    def restore(self, state: bytes) -> None:
        """Take up a state that `state` gave. ValueError: it is none."""
        try:
            self._stamps.last = msgspec.json.decode(state, type=_State).last
        except msgspec.DecodeError as error:
            raise ValueError(f"not a reading state: {error}") from error

    def _open(self, line: bytes, space: int, colon: int) -> _Line | None:
        """Read the header of a line with a needle; None if it is of no program, host or time that counts.

        `space` is where its stamp seems to end, `colon` the first ": " behind that, where a syslog header ends: what is
        between the two says the host, the program and its process, whatever follows. It is kept in `openings`.
        """
        header = split(line)
        readers = None if header is None else self._readers.get(header.program)
        if header is None or readers is None:
            return None
        at = self._stamps.read(header.stamp)
        origin = self._origin(header.host)
        if at is None or origin is None:
            return None
        opening, length = line[space:colon], len(line) - len(header.message)
        syslog = header.program != b"" and length == colon + 2
        own = header.program == b"" and length == space + 1 and opening[1:].replace(b"-", b"").isalnum()
        if 0 < colon <= space + _OPENING and header.stamp == line[:space] and (syslog or own):
            if len(self._openings) >= _MOST:
                self._openings.clear()
            self._openings[opening] = (length - space, readers, origin, header.pid)
        return at, readers, origin, header.message, header.pid

    def _read_whole(self, line: bytes) -> Event | None:
        """What the agents for whole lines see in this one. Its time is still that of its header."""
        header = split(line) if len(line) <= LONGEST else None
        at = None if header is None else self._stamps.read(header.stamp)
        origin = None if header is None else self._origin(header.host)
        if header is None or at is None or origin is None:
            return None
        found = (reader.read(line, at, origin, header.pid, False) for reader in self._whole)
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


def _needles_of_lines(agent: Agent) -> tuple[bytes, ...]:
    """Its needles; or, where its expression has no text that is always there, the end of every line."""
    try:
        return needles(agent)[0]
    except AgentError:
        return (b"\n",)


def _numbers(block: bytes, begins: list[int]) -> list[int]:
    """For each place where a line begins, how many lines stand before it."""
    return list(accumulate(map(block.count, repeat(b"\n"), [0, *begins], begins)))


def _line(block: bytes, begin: int) -> bytes:
    end = block.find(b"\n", begin)
    return block[begin:] if end < 0 else block[begin:end]
