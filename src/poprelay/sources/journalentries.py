"""What journalctl prints becomes batches. Only entries of an agent's program, by one who may speak, are scanned."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec
import structlog

from poprelay.agents.base import Agent
from poprelay.escape import show
from poprelay.model import Instant
from poprelay.sources import Batch
from poprelay.sources.journaltrust import Entry, Speakers
from poprelay.sources.lines import Block, Lines
from poprelay.sources.scanning import Scanning, scanned_batch

log = structlog.get_logger()

VERSION: Final = 1

_SAME: Final = re.compile(r";b=([0-9a-f]{32});m=")
_CURSOR: Final = re.compile(r"[\w=;]{1,1024}")
_ENTRY: Final = msgspec.json.Decoder(Entry)
_MOST: Final = 16  # writers that are told of

Writer: TypeAlias = tuple[str, str, str, str]
"""Tag, account, command and unit, as the journal has them."""


class Tags(msgspec.Struct, frozen=True):
    """The syslog tags that concern some agents: these programs, and those that end in one of `suffixes`."""

    programs: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, agents: Iterable[Agent]) -> Tags:
        """Agents for whole lines, for rows, or for a log of the server's own, have none.

        >>> Tags.of([])
        Tags(programs=(), suffixes=())
        """
        named = [tag for agent in agents if not agent.whole_line and not agent.columns for tag in agent.programs if tag]
        return cls(
            programs=tuple(dict.fromkeys(tag for tag in named if not tag.startswith("*"))),
            suffixes=tuple(dict.fromkeys(tag.removeprefix("*") for tag in named if tag.startswith("*"))),
        )


class Position(msgspec.Struct, array_like=True):
    """Where reading of the journal stands. Without a cursor nothing was there yet."""

    version: int = VERSION
    cursor: str = ""
    scanner: bytes = b""

    @classmethod
    def decode(cls, position: bytes) -> Position:
        """ValueError: it is none of ours."""
        try:
            found = msgspec.msgpack.decode(position, type=cls)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a position in the journal: {error}") from error
        if found.version != VERSION or (found.cursor and not _CURSOR.fullmatch(found.cursor)):
            raise ValueError("not a position in the journal that this version can read")
        return found


def boot_of(cursor: str) -> str:
    """The boot of the entry that has this cursor; "" if the cursor does not say."""
    found = _SAME.search(cursor)
    return found[1] if found else ""


def same_entry(one: str, other: str) -> bool:
    """Whether two cursors are of the same entry: boot, times and hash stay when journald copies it to another file.

    >>> same_entry("s=a;i=1;b=" + 32 * "0" + ";m=1;t=2;x=3", "s=b;i=9;b=" + 32 * "0" + ";m=1;t=2;x=3")
    True
    """
    first, second = _SAME.search(one), _SAME.search(other)
    if first is None or second is None:
        return one == other
    return one[first.start() :] == other[second.start() :]


class Left:
    """What was left out since the start, and why."""

    def __init__(self) -> None:
        self.refused = self.unreadable = self.suppressed = 0
        self._writers: dict[Writer, int] = {}

    def refuse(self, entry: Entry) -> None:
        """Its writer may not speak. Each is logged once."""
        self.refused += 1
        writer = (_text(entry.identifier), _text(entry.uid), _text(entry.command), _text(entry.unit))
        if writer in self._writers:
            self._writers[writer] += 1
        elif len(self._writers) < _MOST:
            self._writers[writer] = 1
            tag, uid, command, unit = writer
            log.warning("writer may not speak for a server", program=tag, uid=uid, command=command, unit=unit)

    def suppress(self, entry: Entry) -> None:
        """journald says that it has dropped messages."""
        count = int(entry.dropped[:18]) if isinstance(entry.dropped, str) and entry.dropped.isdecimal() else 1
        self.suppressed += count
        log.warning("journald dropped messages", count=count, said=_said(entry))

    def remarks(self) -> list[str]:
        """What the operator should know, in sentences."""
        found = [
            f"left out, since their writer may not speak: {count} entries of {tag!r} by user id {show(uid)}, command "
            f"{command!r}, unit {unit!r}; if that is the server, name it in uids or units"
            for (tag, uid, command, unit), count in self._writers.items()
        ]
        if self.suppressed:
            found.append(
                f"journald dropped {self.suppressed} messages by its rate limit, logins perhaps among them: set "
                "LogRateLimitIntervalSec=0 in the unit that logs them"
            )
        return found


class JournalReader:
    """Reads on from a cursor, whatever journalctl it comes from. Knows no process; everything here may block."""

    def __init__(self, scanner: Scanning, speakers: Speakers, tags: Tags, left: Left) -> None:
        self.cursor = ""
        self._scanner: Final = scanner
        self._speakers: Final = speakers
        self._programs: Final = frozenset(tags.programs)
        self._suffixes: Final = tags.suffixes
        self._left: Final = left
        self._lines = Lines()
        self._but_boot = ""

    def resume(self, position: bytes) -> None:
        """Go on where that was. One that cannot be read is as none: reading again changes nothing, skipping loses."""
        try:
            start = Position.decode(position)
        except ValueError as error:
            log.warning("position is not readable, and the journal is read anew", error=str(error))
            return
        self.cursor = start.cursor
        try:
            self._scanner.restore(start.scanner)
        except ValueError as error:
            log.warning("scanner state is not readable, and left out", error=str(error))

    def position(self) -> bytes:
        return msgspec.msgpack.encode(Position(cursor=self.cursor, scanner=self._scanner.state()))

    def begin(self, but_boot: str = "") -> None:
        """Another journalctl begins to print; entries of the boot `but_boot` are not taken from it."""
        self._lines = Lines()
        self._but_boot = but_boot

    def take(self, data: bytes, *, now: Instant, caught_up: bool) -> Batch | None:
        """What journalctl printed, read at `now`. None if that was no whole entry."""
        block = self._lines.feed(data)
        if not block.data:
            return None
        kept = b"".join(self._keep(block.data))
        return scanned_batch(
            self._scanner, Block(kept, block.cut), now=now, modified=None, position=self.position, caught_up=caught_up
        )

    def _keep(self, data: bytes) -> list[bytes]:
        """The lines that the scanner shall see."""
        kept: list[bytes] = []
        for line in data.split(b"\n"):
            if not line:  # one that was cut, or the end
                continue
            try:
                if self._is_wanted(_ENTRY.decode(line)):
                    kept += (_plain(line), b"\n")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._left.unreadable += 1
        return kept

    def _is_wanted(self, entry: Entry) -> bool:
        """Whether the scanner shall see it; the cursor is at it then, wanted or not."""
        if self._but_boot and boot_of(entry.cursor) == self._but_boot:
            return False
        if self.cursor and same_entry(entry.cursor, self.cursor):
            return False
        self.cursor = entry.cursor
        if entry.transport == "driver":
            self._left.suppress(entry)
        elif self._concerns(entry):
            if isinstance(entry.identifier, str) and self._speakers.may(entry):
                return True
            self._left.refuse(entry)
        return False

    def _concerns(self, entry: Entry) -> bool:
        """Whether it is of one of the programs, or pretends to be."""
        tags = entry.identifier if isinstance(entry.identifier, list) else [entry.identifier]
        return any(isinstance(tag, str) and (tag in self._programs or tag.endswith(self._suffixes)) for tag in tags)


def _plain(line: bytes) -> bytes:
    """The line such that the scanner can find text in it: without JSON's backslashes."""
    if b"\\" not in line:
        return line
    fields = msgspec.json.decode(line)
    if isinstance(fields.get("MESSAGE"), str):
        fields["MESSAGE"] = list(fields["MESSAGE"].encode("utf-8", "surrogatepass"))
    return msgspec.json.encode(fields)


def _text(field: object) -> str:
    """A field of an entry for people: what is missing, or there several times, is said as such."""
    if field is None:
        return "unknown"
    return field[:64] if isinstance(field, str) else "several"


def _said(entry: Entry) -> str:
    message = msgspec.json.decode(entry.message)
    return message[:200] if isinstance(message, str) else ""
