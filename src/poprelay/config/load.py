"""A config file's text as sections, and what is wrong with it as lines that name file, line, column, key and remedy."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from poprelay.config.places import Place, places
from poprelay.config.section import Problem, Section, show_path
from poprelay.config.settings import CONTROL
from poprelay.errors import ConfigError
from poprelay.escape import show

_SYNTAX: Final = re.compile(
    r"(?P<what>.*?)(?: \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\))?", re.DOTALL
)


class Document:
    """One config file: its sections, and the places of its keys."""

    def __init__(self, text: str, name: str) -> None:
        """`name` is what refusals call the file. Raises ConfigError if the text is not TOML."""
        self._name = name
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([_syntax(name, text, str(error))]) from None
        self._places = places(text)
        self.root = Section(table, (), [])

    def place(self, keys: tuple[str | int, ...]) -> Place:
        """Line and column of a path, or of the nearest table around it."""
        while keys and keys not in self._places:
            keys = keys[:-1]
        return self._places.get(keys, (1, 1))

    def sentence(self, problem: Problem) -> str:
        """One problem as it is shown: `poprelay.toml:15:1: sources[0].path: what is wrong; the remedy`."""
        line, column = self.place(problem.path)
        where = f"{self._name}:{line}:{column}: "
        key = show_path(problem.path)
        return show(
            where + (f"{key}: " if key else "") + problem.message + (f"; {problem.remedy}" if problem.remedy else "")
        )

    def check(self) -> None:
        """Raises ConfigError with every problem recorded so far, in the order of the file."""
        if self.root.problems:
            raise ConfigError(self._in_order(self.root.problems))

    def _in_order(self, problems: Iterable[Problem]) -> list[str]:
        return [self.sentence(one) for one in sorted(dict.fromkeys(problems), key=lambda one: self.place(one.path))]


def read_document(path: Path) -> Document:
    """Read a config file. Raises ConfigError if it cannot be read, or is not UTF-8 or not TOML."""
    name = path.name
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            [f"{path}: there is no such file; write one (packaging/poprelay.toml shows every setting)"]
        ) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise ConfigError([f"{name}:{line}:{column}: is not UTF-8; save the file as UTF-8"]) from None
    return Document(text.replace("\r\n", "\n"), name)


def control_socket(path: Path) -> Path:
    """Where a running daemon is asked, whatever else is wrong with the config. Raises ConfigError."""
    section = read_document(path).root.table("control")
    listen = section.listen("listen", CONTROL) if section else CONTROL
    return listen.unix or Path("/nonexistent")


def _syntax(name: str, text: str, message: str) -> str:
    match = _SYNTAX.fullmatch(message)
    assert match is not None
    line, column = match["line"] or str(text.count("\n") + 1), match["column"] or "1"
    what = match["what"]
    return show(f"{name}:{line}:{column}: {what[0].lower()}{what[1:]}; this is not TOML (toml.io)")
