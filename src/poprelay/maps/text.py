"""A text file with one line for each address, as Mail::POPRelay writes it; and commands that make the MTA take it up.

    whatever a person wrote, kept byte for byte
    # Above configuration will be preserved by POPRelay.
    192.0.2.7 RELAY
    198.51.100.20 RELAY

Below the marker everything is ours and is written anew at each change, in numerical order. A file without the marker is
a person's as a whole: it is kept, and the marker is added after it. Each change replaces the file, so its cost grows
with the number of addresses; so does that of the usual commands (`postmap`, `makemap`).

The commands (`poprelay.maps.uptake` has them) are owed from the moment before the file changes until they have ended
well. That they are owed is kept in a hidden file beside (`.NAME.owed`), so that neither their failure nor our death
makes it forgotten.
"""

from __future__ import annotations

import os
import re
from bisect import insort
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeAlias

from poprelay.errors import MapError
from poprelay.maps import Entry, atomic
from poprelay.maps.command import Step
from poprelay.maps.keys import checked, foreign, foreign_record
from poprelay.maps.lines import PLAIN, Form, numerically
from poprelay.maps.made import Made
from poprelay.maps.trouble import explained
from poprelay.maps.uptake import TIMEOUT, Commands, Uptake, read_uptake
from poprelay.model import Address

if TYPE_CHECKING:
    from poprelay.config.section import Section

MARKER: Final = "# Above configuration will be preserved by POPRelay."
_MARKER_LINE: Final = re.compile(rb"^" + re.escape(MARKER.encode()) + rb"[ \t\r]*(?:\n|\Z)", re.MULTILINE)
_ATTEMPTS: Final = 5
_FEW: Final = 100

Taken: TypeAlias = Callable[[Path, bytes], Collection[str]]
"""Called with the file and what stands above the marker."""


class TextMap:
    """The addresses in a text file, each in a line by `line_format`, where `%i` stands for the address.

    `command` (arguments; no shell) is run after each change and may take `command_timeout` seconds; empty means none.
    `commands` are further ones, one after the other: the next is run when the one before has ended well.

    Other kinds that are text too give their `kind`, the `form` of their lines, and what makes the MTA take the file up;
    a line that must stand `always`, for an MTA that does not bear an empty file; and what is `taken`: the addresses, as
    they are spelled but in lower case, of which a person's own lines speak already, so that we are silent about them;
    and the `age` in seconds that a new file is to have, for an MTA that waits as long as a file is young.
    """

    wants_renewals: ClassVar[bool] = False

    def __init__(
        self,
        path: Path,
        line_format: str = "%i",
        command: Sequence[str] = (),
        command_timeout: float = TIMEOUT,
        interval: float = 0.0,
        commands: Sequence[Step] = (),
        *,
        kind: str = "text",
        form: Form | None = None,
        uptake: Uptake | None = None,
        always: str = "",
        taken: Taken | None = None,
        age: float = 0.0,
    ) -> None:
        wrong = flaw(line_format)
        if wrong:
            raise ValueError(wrong)
        before, after = line_format.split("%i")
        steps = ((Step(tuple(command)),) if command else ()) + tuple(commands)
        self.path = path
        self.name = f"{kind} {path}"
        self.interval = interval
        self._form = form or Form(before, after, PLAIN)
        self._uptake = Commands(tuple(steps), command_timeout) if steps else uptake
        self._always = always
        self._taken = taken
        self._age = age
        self._seen: atomic.Identity | None = None
        self._left: bytes | None = None
        """What stood below the marker when we last read or wrote it; None before that."""
        self._order: list[str] = []
        """The keys that we last wrote, in their order; what `_left` holds, unless somebody else has written since."""

    @classmethod
    def from_section(cls, section: Section) -> Self:
        path = section.file("path")
        line_format = section.text("format", "%i")
        wrong = flaw(line_format) if line_format else ""
        if wrong:
            section.refuse("format", wrong, 'write for example "%i" or "%i RELAY"')
        if wrong or not line_format:
            line_format = "%i"
        uptake = read_uptake(section)
        # 2 s: a program that compares times in whole seconds (Postfix with hash) must see each change
        interval = section.duration("interval", 2.0 if uptake else 0.0, low=0.0, high=3600.0)
        return cls(path, line_format, interval=interval, uptake=uptake)

    @property
    def expresses_networks(self) -> bool:
        return self._form.spelling.networks

    def keys(self) -> set[str]:
        """The addresses below the marker; a line there that is not ours is reported as foreign."""
        with explained(self.name, self.path):
            real = self._real()
            atomic.sweep(real)
            _, below, status = self._read(real)
            if status is None:
                self._publish(real, set(), set())
                return set()
            if self._misses_database(real):
                self._owed(real).touch()
            self._left, self._order, self._seen = below, [], atomic.identity(status)
            return self._parse(below or b"")

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        """Write the file anew if anything differs, then run the command if it is owed.

        MapError also where another program had changed what stands below the marker: the change is published then, and
        the file should be compared with the ledger again.
        """
        networks = self.expresses_networks
        arriving = {checked(entry.address, networks=networks) for entry in added}
        leaving = {checked(key, networks=networks) for key in removed if foreign_record(key) is None}
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
            real = self._real()
            return atomic.look(real) != self._seen or self._misses_database(real)

    def holds(self, address: Address) -> bool:
        with explained(self.name, self.path):
            return address in self._parse(self._read(self._real())[1] or b"")

    def make_anew(self) -> None:
        """Owe the commands again, for what a person may have changed above the marker."""
        if self._uptake:
            with explained(self.name, self.path):
                self._owed(self._real()).touch()

    def close(self) -> None:
        """Nothing is held open between two changes."""

    def _misses_database(self, real: Path) -> bool:
        return isinstance(self._uptake, Made) and not self._uptake.database(real).exists()

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
        return *split(content), status

    def _parse(self, below: bytes) -> set[str]:
        found: set[str] = set()
        for line in below.decode("utf-8", "surrogateescape").split("\n"):
            if line and line != self._always:
                found.add(self._form.key(line) or foreign(line.encode("utf-8", "surrogateescape")))
        return found

    def _publish(self, real: Path, arriving: set[str], leaving: set[str]) -> bool:
        """Make the file say so; returns whether somebody else had changed our part of it."""
        for _ in range(_ATTEMPTS):
            above, old, status = self._read(real)
            disturbed = self._left not in (None, old)
            if self._order and not disturbed:  # to read a million lines again would last for seconds
                kept = set(self._order)
            else:
                kept = {key for key in self._parse(old or b"") if foreign_record(key) is None}
            order = self._sorted(self._ours((kept - leaving) | arriving, real, above))
            below = self._render(order)
            seen = atomic.identity(status) if status else None
            if old != below:  # a file without our marker is published even if nobody is allowed: for its commands
                if self._uptake:
                    self._owed(real).touch()
                try:
                    seen = atomic.replace(real, above + MARKER.encode() + b"\n" + below, status, age=self._age)
                except atomic.ChangedMeanwhileError:
                    continue
            self._left, self._order, self._seen = below, order, seen
            return disturbed
        raise MapError(f"{self.name}: another program keeps changing it", remedy="find out which, and stop it")

    def _ours(self, keys: set[str], real: Path, above: bytes) -> set[str]:
        taken = self._taken(real, above) if self._taken else ()
        spell = self._form.spelling.spellings
        return {key for key in keys if not any(one.lower() in taken for one in spell(key))} if taken else keys

    def _sorted(self, keys: set[str]) -> list[str]:
        """The keys in their order; where few are new, quicker than by sorting."""
        order = [key for key in self._order if key in keys]
        new = keys.difference(order)
        if len(new) > _FEW:
            return sorted(keys, key=numerically)
        for key in new:
            insort(order, key, key=numerically)
        return order

    def _render(self, order: Sequence[str]) -> bytes:
        lines = (f"{line}\n" for key in order for line in self._form.lines(key))
        always = f"{self._always}\n" if self._always else ""
        return (always + "".join(lines)).encode("utf-8", "surrogateescape")

    def _run_owed(self, real: Path) -> None:
        owed = self._owed(real)
        if self._uptake and owed.exists():
            self._uptake(real)
            owed.unlink(missing_ok=True)

    @staticmethod
    def _owed(real: Path) -> Path:
        return real.with_name(f".{real.name}.owed")


def split(content: bytes) -> tuple[bytes, bytes | None]:
    """What stands above the marker, ended by a newline, and what below it (None: there is no marker)."""
    marker = _MARKER_LINE.search(content)
    if marker is not None:
        return content[: marker.start()], content[marker.end() :]
    return content if not content or content.endswith(b"\n") else content + b"\n", None


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
