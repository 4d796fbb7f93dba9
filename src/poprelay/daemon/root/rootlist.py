"""Root's own list of commands, /etc/poprelay/root.toml: all that root's part ever does.

    user = "poprelay"                     # who may ask, and whose files may be copied

    [[commands]]
    name = "sendmail"                     # [[maps]] says root = "sendmail"
    every = "1s"                          # at most so often
    [[commands.steps]]
    copy = ["/var/lib/poprelay/access", "/etc/mail/access"]
    to = "/etc/mail/poprelay/access"
    [[commands.steps]]
    run = ["/usr/sbin/makemap", "-r", "hash", "/etc/mail/poprelay/new"]
    stdin = "/etc/mail/poprelay/access"
    timeout = "30s"

A step runs when the one before has ended well. `run` is a program by its whole path, and its arguments; there is no
shell, and nothing of a request gets into it. `copy` puts files one after the other into one, as a whole; each belongs
to root or to `user`, and is at most `limit` bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from poprelay.config.load import Document, read_document
from poprelay.config.section import Section
from poprelay.daemon.root.trust import check_trusted
from poprelay.errors import ConfigError
from poprelay.maps.root import NAME

CONFIG: Final = Path("/etc/poprelay/root.toml")
LIMIT: Final = 64 * 1024 * 1024


class Run(NamedTuple):
    """A program and its arguments, what it reads, and the seconds that it may take."""

    run: tuple[str, ...]
    stdin: Path | None
    timeout: float


class Copy(NamedTuple):
    """Files, the one into which they go, and the bytes that each may have."""

    sources: tuple[Path, ...]
    to: Path
    limit: int


Step: TypeAlias = Run | Copy


class RootCommands(NamedTuple):
    """The whole list: who may ask, and for each name its steps and the seconds between two runs."""

    user: str
    commands: Mapping[str, tuple[tuple[Step, ...], float]]


def read_list(path: Path) -> RootCommands:
    """Read root's list. Raises NotPermitted if another user can change it, ConfigError, OSError."""
    try:
        return parse_list(read_document(check_trusted(path)))
    except FileNotFoundError:
        raise ConfigError([f"there is no list {path}; poprelay setup writes it where it is needed"]) from None


def parse_list(document: Document) -> RootCommands:
    """The list that a document holds. Raises ConfigError."""
    root = document.root
    user = root.text("user", "poprelay")
    found: dict[str, tuple[tuple[Step, ...], float]] = {}
    for section in root.tables("commands"):
        name = section.text("name")
        if not NAME.fullmatch(name):
            section.refuse("name", f"{name!r} is no name", "use a-z, 0-9 and -, at most 63")
        elif name in found:
            section.refuse("name", f"{name!r} is there twice", "give each its own")
        # one second is what Sendmail needs between two SIGHUPs
        every = section.duration("every", 1.0, low=1.0, high=3600.0)
        steps = tuple(_step(each) for each in section.tables("steps"))
        if not steps:
            section.refuse("steps", "is empty", "write [[commands.steps]] with run, or with copy and to")
        section.finish()
        found[name] = steps, every
    if not found:
        root.refuse("", "there is no command", "write [[commands]] and below it name and steps")
    root.finish()
    document.check()
    return RootCommands(user, found)


def _step(section: Section) -> Step:
    if section.given("copy") == section.given("run"):
        section.refuse("", "has neither run nor copy, or both", "write one of the two")
    if section.given("copy"):
        return _copy(section)
    words = section.texts("run", ())
    if not words:
        section.refuse("run", "has no program", "write its whole path, and its arguments")
    elif not words[0].startswith("/"):
        section.refuse("run", f"{words[0]!r} is not the whole path of a program", "write it from / on", number=0)
    stdin = section.file("stdin") if section.given("stdin") else None
    timeout = section.duration("timeout", 30.0, low=1.0, high=3600.0)
    section.finish()
    return Run(words, stdin, timeout)


def _copy(section: Section) -> Copy:
    sources: list[Path] = []
    for number, text in section.numbered("copy", once=True):
        if not text.startswith("/") or ".." in Path(text).parts:
            section.refuse("copy", f"{text!r} is not the whole path of a file", "write it from / on", number=number)
        sources.append(Path(text))
    to = section.file("to")
    if to in sources:
        section.refuse("to", "is one of the files that are copied", "name another")
    limit = section.integer("limit", LIMIT, low=1)
    section.finish()
    return Copy(tuple(sources), to, limit)
