"""A config file's text as sections, and what is wrong with it as lines that name file, line, column, key and remedy."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

from poprelay.config.places import Place, places
from poprelay.config.problem import Problem, show_path
from poprelay.config.section import Section
from poprelay.config.settings import CONTROL
from poprelay.errors import ConfigError, NotPermitted
from poprelay.escape import show

_SYNTAX: Final = re.compile(
    r"(?P<what>.*?)(?: \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\))?", re.DOTALL
)
_DECLARED: Final = re.compile(r"Cannot declare \('(?P<name>[A-Za-z0-9_-]+)',\) twice")
_NOT_TOML: Final = "this is not TOML (https://toml.io)"
_TWICE: Final = "TOML takes each key and each [table] once; leave one out"
_MARK: Final = b"\xef\xbb\xbf"


class Document:
    """One config file: its sections, and the places of its keys."""

    def __init__(self, text: str, name: str) -> None:
        """`name` is what refusals call the file. Raises ConfigError if the text is not TOML."""
        self._name = name
        text = text.replace("\r\n", "\n")
        try:
            table = tomllib.loads(text)
            self._places = places(text)
        except RecursionError:
            raise ConfigError(
                [show(f"{name}:1:1: is nested too deeply; nothing here needs more than two levels")]
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([_syntax(name, text, str(error))]) from None
        except ValueError:  # int() reads no more than some thousand digits
            raise ConfigError([show(f"{name}:1:1: has a number of thousands of digits; {_NOT_TOML}")]) from None
        self.root = Section(table, (), [])

    def place(self, keys: tuple[str | int, ...]) -> Place:
        """Line and column of a path, or of the nearest table around it."""
        while keys and keys not in self._places:
            keys = keys[:-1]
        return self._places.get(keys, (1, 1))

    def sentence(self, problem: Problem) -> str:
        """One problem as it is shown: `poprelay.toml:15:1: sources[0].path: what is wrong; the remedy`."""
        line, column = self.place(problem.path)
        parts = (f"{self._name}:{line}:{column}", show_path(problem.path), problem.message)
        return show(": ".join(part for part in parts if part) + (f"; {problem.remedy}" if problem.remedy else ""))

    def check(self) -> None:
        """Raises ConfigError with every problem recorded so far, in the order of the file."""
        if self.root.problems:
            ordered = sorted(self.root.problems, key=lambda problem: self.place(problem.path))
            raise ConfigError([self.sentence(problem) for problem in ordered])


def read_document(path: Path) -> Document:
    """Read a config file. Raises ConfigError if it cannot be read, or is not UTF-8 or not TOML; NotPermitted."""
    name = path.name
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            [show(f"{path}: there is no such file; `poprelay setup` writes one, or name another one with -c")]
        ) from None
    except IsADirectoryError:
        raise ConfigError([show(f"{path}: is a directory; name the file in it")]) from None
    except PermissionError:
        raise NotPermitted(show(f"{path}: may not be read by this user; run this as root")) from None
    except OSError as error:
        raise ConfigError([show(f"{path}: cannot be read: {error.strerror or error}")]) from None
    if raw.startswith(_MARK):
        raise ConfigError([show(f"{name}:1:1: begins with a byte order mark; save the file as UTF-8 without one")])
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = len(raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        raise ConfigError([show(f"{name}:{line}:{column}: is not UTF-8; save the file as UTF-8")]) from None
    return Document(text, name)


def control_socket(path: Path) -> Path:
    """Where a running daemon is asked, whatever else is wrong with the config. Raises ConfigError."""
    section = read_document(path).root.table("control")
    listen = section.listen("listen", CONTROL) if section else CONTROL
    return listen.unix or Path("/nonexistent")


def _syntax(name: str, text: str, message: str) -> str:
    """A syntax error as `tomllib` words it, in our form."""
    match = _SYNTAX.fullmatch(message)
    assert match is not None
    what, line, column = match["what"], match["line"], match["column"]
    if line is None:
        line, column = str(text.count("\n") + 1), str(len(text) - text.rfind("\n"))
    twice = _DECLARED.fullmatch(what)
    if twice is not None:
        what, column = f"[{twice['name']}] is there already", "1"
    elif what == "Cannot overwrite a value":
        what, column = "this key is there already", "1"
    remedy = _TWICE if what.endswith("already") else _NOT_TOML
    return show(f"{name}:{line}:{column}: {what[0].lower()}{what[1:]}; {remedy}")
