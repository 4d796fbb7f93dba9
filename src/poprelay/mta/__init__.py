"""MTAs: how to find each, what its config needs so that it asks us, and whether that is there and right.

One module (or folder) for each. None of them changes anything: they say what is to be (`Plan`) and what is wrong
(`Finding`); `poprelay.mta.apply` makes it so, and takes it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

STATE: Final = Path("/var/lib/poprelay")
"""Where ledger and maps lie, and the sockets for an MTA that no jail keeps from there."""

Level: TypeAlias = Literal["note", "fault", "danger"]
"""`note`: it works, but may bite; `fault`: who may relay cannot, or mail waits; `danger`: somebody may who must not."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: what, why it matters, and the exact line or command that mends it."""

    level: Level
    about: str
    what: str
    why: str
    mend: str


class Installed(msgspec.Struct, frozen=True):
    """An MTA as it is here."""

    mta: str
    version: str
    config: Path
    """Its main config file."""
    kinds: tuple[str, ...]
    """The ways in which it can ask us here, as `setup --with` names them, the recommended one first."""
    chrooted: bool = False
    """Whether what asks us sees only its own directory."""


class Part(msgspec.Struct, frozen=True):
    """One of our maps or services, as our config has it: `place` is its path or its listen address."""

    role: Literal["map", "service"]
    kind: str
    place: str
    spec: dict[str, Any] = {}


class Edit(msgspec.Struct, frozen=True):
    """A file as it is to be, whole. Owner and mode are kept where it exists; `mode` is for a new one."""

    path: Path
    content: bytes
    mode: int = 0o644


class Folder(msgspec.Struct, frozen=True):
    """A directory that must be there. With mode 02750 a socket that is made there gets the directory's group."""

    path: Path
    user: str = "root"
    group: str = ""
    mode: int = 0o755


class Plan(msgspec.Struct, frozen=True):
    """What is to be changed so that the MTA asks us."""

    section: str
    """The section of our own config, as TOML."""
    edits: tuple[Edit, ...] = ()
    folders: tuple[Folder, ...] = ()
    kept: tuple[Path, ...] = ()
    """Files that others write because of us, the daemon or root's part: undoing puts them back as they are now."""
    make: tuple[tuple[str, ...], ...] = ()
    """Commands that make what the MTA reads from what is edited, in this order; they run again when it is undone."""
    check: tuple[tuple[str, ...], ...] = ()
    """The MTA's own checks of its config: each must exit with 0."""
    reload: tuple[tuple[str, ...], ...] = ()
    undone: tuple[tuple[str, ...], ...] = ()
    """Commands for when it was undone, and only then: root's part makes that until then."""
    root: str = ""
    """The section of root's own file (`/etc/poprelay/root.toml`), as TOML, where a command must be root's."""
    remarks: tuple[str, ...] = ()


class Mta(Protocol):
    """One kind of MTA. Methods block; they run the MTA's own programs, and read its files. Raise MtaError."""

    name: ClassVar[str]

    def find(self) -> Installed | None:
        """The one that is installed here, or None."""
        ...

    def plan(self, kind: str) -> Plan:
        """What is to be changed so that it asks a part of that kind; without edits if it asks already."""
        ...

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        """What is wrong with how it asks these."""
        ...


@runtime_checkable
class Placed(Protocol):
    """A class of an MTA that may stand more than once on a host, each with a config of its own."""

    def at(self, config: Path) -> Mta:
        """The one with that config."""
        ...


KINDS: Final[dict[str, str]] = {
    "courier": "poprelay.mta.courier:Courier",
    "exim": "poprelay.mta.exim:Exim",
    "opensmtpd": "poprelay.mta.opensmtpd:Opensmtpd",
    "postfix": "poprelay.mta.postfix:Postfix",
    "qmail": "poprelay.mta.qmail:Qmail",
    "sendmail": "poprelay.mta.sendmail:Sendmail",
}
"""Every MTA: name on the command line, and the class."""
