"""A text file with one line for each address, as Mail::POPRelay writes it; and commands that make the MTA take it up.

    whatever a person wrote, kept byte for byte
    # Above configuration will be preserved by POPRelay.
    192.0.2.7 RELAY
    198.51.100.20 RELAY

Below the marker everything is ours and is written anew at each change, in numerical order. A file without the marker is
a person's as a whole: it is kept, and the marker is added after it. Each change replaces the file, so its cost grows
with the number of addresses; so does that of the usual commands (`postmap`, `makemap`).

The commands are owed from the moment before the file changes until they have ended well. That they are owed is kept in
a hidden file beside (`.NAME.owed`), so that neither their failure nor our death makes it forgotten.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, ClassVar, Final, Self

from poprelay.address import is_canonical
from poprelay.errors import MapError
from poprelay.maps import Entry, atomic, command
from poprelay.maps.command import Step as _Step
from poprelay.maps.keys import checked, foreign, foreign_record
from poprelay.maps.trouble import explained
from poprelay.model import Address

if TYPE_CHECKING:
    from poprelay.config.section import Section

MARKER: Final = "# Above configuration will be preserved by POPRelay."
_MARKER_LINE: Final = re.compile(rb"^" + re.escape(MARKER.encode()) + rb"[ \t\r]*(?:\n|\Z)", re.MULTILINE)
_ATTEMPTS: Final = 5


class TextMap:
    """The addresses in a text file, each in a line by `line_format`, where `%i` stands for the address.

    `command` (arguments; no shell) is run after each change and may take `command_timeout` seconds; empty means none.
    `commands` are further ones, one after the other: the next is run when the one before has ended well.
    """

    expresses_networks: ClassVar[bool] = False
    wants_renewals: ClassVar[bool] = False

    def __init__(
        self,
        path: Path,
        line_format: str = "%i",
        command: Sequence[str] = (),
        command_timeout: float = 30.0,
        interval: float = 0.0,
        commands: Sequence[_Step] = (),
    ) -> None:
        wrong = flaw(line_format)
        if wrong:
            raise ValueError(wrong)
        self.path = path
        self.name = f"text {path}"
        self.interval = interval
        self._before, self._after = line_format.split("%i")
        self._steps = ((_Step(tuple(command)),) if command else ()) + tuple(commands)
        self._command_timeout = command_timeout
        self._seen: tuple[int, ...] | None = None
        self._left: bytes | None = None
        """What stood below the marker when we last read or wrote it; None before that."""

    @classmethod
    def from_section(cls, section: Section) -> Self:
        path = section.file("path")
        line_format = section.text("format", "%i")
        wrong = flaw(line_format) if line_format else ""
        if wrong:
            section.refuse("format", wrong, 'write for example "%i" or "%i RELAY"')
        if wrong or not line_format:
            line_format = "%i"
        arguments = _command(section)
        steps = tuple(_step(one) for one in section.tables("commands"))
        if arguments and steps:
            section.refuse("commands", "says the same as command", "write one of the two")
        timeout = section.duration("command_timeout", 30.0, low=1.0, high=3600.0)
        # 2 s: a program that compares times in whole seconds (Postfix with hash) must see each change
        interval = section.duration("interval", 2.0 if arguments or steps else 0.0, low=0.0, high=3600.0)
        return cls(path, line_format, arguments, timeout, interval, steps)

    def keys(self) -> set[str]:
        """The addresses below the marker; a line there that is not ours is reported as foreign."""
        with explained(self.name, self.path):
            real = self._real()
            atomic.sweep(real)
            _, below, status = self._read(real)
            if status is None:
                self._publish(real, set(), set())
                return set()
            self._left, self._seen = below, atomic.look(real)
            return self._parse(below or b"")

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        """Write the file anew if anything differs, then run the command if it is owed.

        MapError also where another program had changed what stands below the marker: the change is published then, and
        the file should be compared with the ledger again.
        """
        arriving = {checked(entry.address) for entry in added}
        leaving = {checked(key) for key in removed if foreign_record(key) is None}
        with explained(self.name, self.path):
            real = self._real()
            disturbed = self._publish(real, arriving, leaving)
            self._run_owed(real)
        if disturbed:
            raise MapError(
                f"{self.name}: another program changed the lines below the marker", remedy="leave them to us"
            )

    def disturbed(self) -> bool:
        with explained(self.name, self.path):
            return atomic.look(self._real()) != self._seen

    def holds(self, address: Address) -> bool:
        with explained(self.name, self.path):
            return address in self._parse(self._read(self._real())[1] or b"")

    def make_anew(self) -> None:
        """Owe the commands again, for what a person may have changed above the marker."""
        if self._steps:
            with explained(self.name, self.path):
                self._owed(self._real()).touch()

    def close(self) -> None:
        """Nothing is held open between two changes."""

    def _real(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _read(self, real: Path) -> tuple[bytes, bytes | None, os.stat_result | None]:
        """What stands above the marker (ended by a newline), what below it (None: no marker), and the file's status."""
        try:
            with real.open("rb") as file:
                status = os.fstat(file.fileno())
                content = file.read()
        except FileNotFoundError:
            return b"", None, None
        if b"\0" in content:
            raise MapError(f"{self.name}: it is not a text file", remedy="name the text file, not what is made from it")
        marker = _MARKER_LINE.search(content)
        if marker is not None:
            return content[: marker.start()], content[marker.end() :], status
        return content if not content or content.endswith(b"\n") else content + b"\n", None, status

    def _parse(self, below: bytes) -> set[str]:
        before, after = self._before, self._after
        found: set[str] = set()
        for line in below.decode("utf-8", "surrogateescape").split("\n"):
            key = line.removeprefix(before).removesuffix(after)
            if is_canonical(key) and line == before + key + after:
                found.add(key)
            elif line:
                found.add(foreign(line.encode("utf-8", "surrogateescape")))
        return found

    def _publish(self, real: Path, arriving: set[str], leaving: set[str]) -> bool:
        """Make the file say so; returns whether somebody else had changed our part of it."""
        for _ in range(_ATTEMPTS):
            above, old, status = self._read(real)
            kept = {key for key in self._parse(old or b"") if foreign_record(key) is None}
            below = self._render((kept - leaving) | arriving)
            disturbed = self._left not in (None, old)
            if old != below:  # a file without our marker is published even if nobody is allowed: for its commands
                if self._steps:
                    self._owed(real).touch()
                try:
                    atomic.replace(real, above + MARKER.encode() + b"\n" + below, status)
                except atomic.ChangedMeanwhileError:
                    continue
            self._left, self._seen = below, atomic.look(real)
            return disturbed
        raise MapError(f"{self.name}: another program keeps changing it", remedy="find out which, and stop it")

    def _render(self, keys: set[str]) -> bytes:
        lines = (f"{self._before}{key}{self._after}\n" for key in sorted(keys, key=_numerically))
        return "".join(lines).encode("utf-8", "surrogateescape")

    def _run_owed(self, real: Path) -> None:
        owed = self._owed(real)
        if self._steps and owed.exists():
            for step in self._steps:
                command.run(step.run, timeout=self._command_timeout, stdin=step.stdin)
            owed.unlink(missing_ok=True)

    @staticmethod
    def _owed(real: Path) -> Path:
        return real.with_name(f".{real.name}.owed")


def _step(section: Section) -> _Step:
    """One of `commands`: `run`, and `stdin` if it reads a file."""
    step = _Step(section.texts("run"), section.file("stdin") if section.given("stdin") else None)
    section.finish()
    return step


def _command(section: Section) -> tuple[str, ...]:
    """`command`: a list of program and arguments, or one line that is split into them."""
    if not isinstance(section.spec.get("command"), str):
        return section.texts("command", ())
    line = section.text("command")
    try:
        return command.parse(line) if line else ()
    except ValueError as error:
        section.refuse("command", str(error), "write a script, or a list of program and arguments")
        return ()


def _numerically(address: str) -> tuple[bool, bytes]:
    return (True, inet_pton(AF_INET6, address)) if ":" in address else (False, inet_pton(AF_INET, address))


def flaw(line_format: str) -> str:
    """What is wrong with a line's format, or '' if nothing is.

    >>> flaw("%i RELAY"), flaw("Connect:%i RELAY"), flaw('%i:allow,RELAYCLIENT=""')
    ('', '', '')
    >>> flaw("%i/8 OK")
    "'/' right after %i would make it another address or a network"
    """
    before, found, after = line_format.partition("%i")
    if not found:
        return "it has no %i, which stands for the address"
    if "%" in before or "%" in after:
        return "it may hold %i once, and no other %"
    if not (before + after).replace("\t", " ").isprintable():
        return "it holds a control character"
    if before[-1:].isalnum() or before[-1:] in {".", "-"}:
        return f"{before[-1]!r} right before %i would make it another address"
    if after[:1].isalnum() or after[:1] in {".", "-", "/"}:
        return f"{after[0]!r} right after %i would make it another address or a network"
    if before.lstrip().startswith("#"):
        return "it makes each line a comment"
    return ""
