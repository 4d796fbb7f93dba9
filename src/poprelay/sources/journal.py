"""The kind `journal`: reads systemd's journal, by journalctl(1), entry by entry and each entry once.

Where a system has no mail.log, this is the log. The position is the cursor of the last entry. Reading first runs to the
journal's end, and then follows it; after `RENEW` seconds it does both again, so that nothing depends on journalctl
seeing every rotation.

The cursor's entry may be gone by the time that reading goes on (vacuumed), or may have another cursor (after a flush to
disk the sequence number's source is another). So reading begins *at* the cursor, where journalctl finds what comes
next if the entry itself is gone (`--after-cursor` would skip that, systemd 252), and the entry is known by its boot,
times and hash.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from poprelay.agents.base import Agent
from poprelay.clock import Clock
from poprelay.errors import SourceError
from poprelay.model import Instant
from poprelay.scan import Scanner
from poprelay.sources import Batch
from poprelay.sources.journalctl import Journal, Journalctl
from poprelay.sources.journalentries import JournalReader, Left, Tags, boot_of
from poprelay.sources.journaltrust import Choice
from poprelay.sources.scanning import MakeScanner

if TYPE_CHECKING:
    from poprelay.config.section import Section

CHUNK: Final = 1024 * 1024
"""Bytes read at a time at most, or a little more."""
RENEW: Final = 600.0
"""Seconds after which journalctl is started anew."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Step(msgspec.Struct, frozen=True):
    """One run of journalctl: to the journal's end, or, with `follow`, for as long as it goes on.

    Entries of the boot `but_boot` are left for the next step.
    """

    command: list[str]
    follow: bool = False
    but_boot: str = ""


class JournalSource:
    """Follows the journal for the tags of some agents."""

    def __init__(
        self,
        journal: Journal,
        tags: Tags,
        make_scanner: MakeScanner,
        choice: Choice,
        *,
        name: str = "journal",
        clock: Clock | None = None,
        renew: float = RENEW,
    ) -> None:
        self._journal = journal
        self._tags = tags
        self._make_scanner = make_scanner
        self._choice = choice
        self._name = name
        self._clock = clock or Clock()
        self._renew = renew
        self._state = "waiting"
        self._newest: Instant | None = None
        self._left = Left()

    @classmethod
    def from_section(cls, section: Section, agents: Sequence[Agent]) -> Self:
        """Reads `directory`, `namespace`, `name`, `hosts`, `uids`, `units` and `commands`."""
        directory = section.file("directory") if section.given("directory") else None
        namespace = section.text("namespace", "")
        if directory is not None and namespace:
            section.refuse("namespace", "directory says already which journal", "leave one of the two out")
        for agent in agents:
            if Tags.of([agent]) == Tags():
                message = f"{agent.name} is for a log of the server's own, which is not in the journal"
                section.refuse("agents", message, 'give it a source of its own: kind = "file"')
        name = section.text("name", str(directory) if directory else f"journal {namespace}".strip())
        hosts = section.texts("hosts", (), once=True)
        return cls(
            Journal(directory, namespace),
            Tags.of(agents),
            lambda: Scanner(agents, source=name, hosts=hosts),
            Choice.from_section(section, agents),
            name=name,
        )

    @property
    def name(self) -> str:
        return self._name

    def state(self) -> dict[str, object]:
        """`state`: waiting (not begun), catching up, following. `lag_seconds` is the age of the last entry, in seconds,
        while catching up. `refused` counts entries whose writer may not speak, `unreadable` what was no entry,
        `suppressed` messages that journald dropped by its rate limit; `remarks` says all that in sentences."""
        behind = self._newest is not None and self._state == "catching up"
        return {
            "state": self._state,
            "journal": str(self._journal.directory or self._journal.namespace or "system"),
            "lag_seconds": round(max(0.0, self._clock.now() - (self._newest or 0.0)), 1) if behind else 0.0,
            "refused": self._left.refused,
            "unreadable": self._left.unreadable,
            "suppressed": self._left.suppressed,
            "remarks": self._left.remarks(),
        }

    async def batches(self, position: bytes | None, *, at_end: bool = False) -> AsyncIterator[Batch]:
        """As `Source` says. The first batch may be empty: it says that nothing waits."""
        reader = JournalReader(
            self._make_scanner(), await asyncio.to_thread(self._choice.speakers), self._tags, self._left
        )
        if position is not None:
            reader.resume(position)
        elif at_end:
            await self._skip(reader)
        self._state = "catching up"
        caught_up = False
        while True:
            for step in self._steps(reader):
                if step.follow and not caught_up:
                    yield Batch(events=(), position=reader.position(), read_at=self._clock.now(), caught_up=True)
                    caught_up = True
                if step.follow:
                    self._state = "following"
                reader.begin(step.but_boot)
                with Journalctl(step.command) as journalctl:
                    until = asyncio.get_running_loop().time() + self._renew if step.follow else None
                    while (read := await journalctl.read(CHUNK, until=until)) is not None and read.data:
                        batch = await asyncio.to_thread(
                            reader.take, read.data, now=self._clock.now(), caught_up=step.follow and not read.more
                        )
                        if batch is not None:
                            self._newest = batch.newest or self._newest
                            yield batch
                            caught_up = batch.caught_up
                    if read is not None:
                        await journalctl.finish()
                        if step.follow:
                            raise SourceError("journalctl ended by itself")

    async def _skip(self, reader: JournalReader) -> None:
        """To the end of the journal. An empty one is begun where it begins."""
        reader.begin()
        with Journalctl(self._journal.newest()) as journalctl:
            while (read := await journalctl.read(CHUNK)) is not None and read.data:
                reader.take(read.data, now=self._clock.now(), caught_up=False)
            await journalctl.finish()

    def _steps(self, reader: JournalReader) -> Iterator[Step]:
        """What to run, one after the other, to the end of the journal and on.

        Across boots the journal is ordered by the wall clock alone, and `--follow` shows the current boot only. So what
        came after the cursor's boot is read from the beginning of the current one, whatever the clock was then.
        """
        boot = "" if self._journal.directory is not None else _current_boot()
        if not reader.cursor:
            yield Step(self._command())
        elif not boot or boot_of(reader.cursor) == boot:
            yield Step(self._command(f"--cursor={reader.cursor}"))
        else:
            yield Step(self._command(f"--cursor={reader.cursor}"), but_boot=boot)
            yield Step(self._command(boot=boot))
        if reader.cursor and (not boot or boot_of(reader.cursor) == boot):
            yield Step(self._command("--follow", "--no-tail", f"--cursor={reader.cursor}"), follow=True)
        else:
            yield Step(self._command("--follow", "--no-tail", boot=boot), follow=True)

    def _command(self, *options: str, boot: str = "") -> list[str]:
        programs = None if self._tags.suffixes else self._tags.programs
        return self._journal.command(*options, programs=programs, boot=boot)


def _current_boot() -> str:
    """As the journal writes it; "" where the system does not say."""
    try:
        return _BOOT.read_text().strip().replace("-", "")
    except OSError:
        return ""
