"""Where in a TOML text each key and value stands, so that a refusal can name line and column.

`tomllib` tells no places. The text given here has been read by it, so it is valid TOML (toml.io, v1.0.0), and this only
has to follow its outline: tables, keys, strings, brackets, comments.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1; the column counts characters."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")
_STRINGS: Final = (
    r'"""(?:\\.|(?!""").)*"{3,5}',
    r"'''(?:(?!''').)*'{3,5}",
    r'"(?:\\.|[^"\\\n])*"',
    r"'[^'\n]*'",
)
_STRING: Final = re.compile("|".join(_STRINGS), re.DOTALL)


def places(text: str) -> dict[Path, Place]:
    """The place of every table, key and array element, by its path: a table's header, a key, an element itself.

    >>> places('[relay]\\nperiod = "30m"\\n[[maps]]\\nkind = "lmdb"\\n')[("maps", 0, "kind")]
    (4, 1)
    """
    return _Outline(text).found


class _Outline:
    def __init__(self, text: str) -> None:
        self.found: dict[Path, Place] = {}
        self._text = text
        self._at = 0
        self._lengths: dict[Path, int] = {}
        """How many tables each array of tables has so far."""
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._line = 0
        table: Path = ()
        while self._skip(_BLANK) < len(text):
            table = self._header() if text[self._at] == "[" else self._pair(table)

    def _skip(self, what: re.Pattern[str]) -> int:
        match = what.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._at

    def _note(self, path: Path, at: int) -> None:
        while self._line + 1 < len(self._lines) and self._lines[self._line + 1] <= at:
            self._line += 1
        self.found.setdefault(path, (self._line + 1, at - self._lines[self._line] + 1))

    def _header(self) -> Path:
        start = self._at
        many = self._text.startswith("[[", start)
        self._at += 2 if many else 1
        keys = self._keys()
        self._at += 2 if many else 1
        path: Path = ()
        for number, (key, _) in enumerate(keys):
            path = (*path, key)
            self._note(path, start)
            if many and number == len(keys) - 1:
                self._lengths[path] = self._lengths.get(path, 0) + 1
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
                self._note(path, start)
        return path

    def _pair(self, table: Path) -> Path:
        path = table
        for key, start in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._skip(_SPACE)
        self._at += 1  # the '='
        self._skip(_SPACE)
        self._value(path)
        return table

    def _keys(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, and where each begins."""
        keys: list[tuple[str, int]] = []
        while True:
            self._skip(_SPACE)
            start = self._at
            key = self._text[start : self._skip(_STRING if self._text[start] in "\"'" else _BARE)]
            keys.append((_unquoted(key), start))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        match self._text[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._text[self._skip(_BLANK)] != "]":
            self._note((*path, number), self._at)
            self._value((*path, number))
            number += 1
            if self._text[self._skip(_BLANK)] == ",":
                self._at += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._text[self._skip(_BLANK)] != "}":
            self._pair(path)
            if self._text[self._skip(_BLANK)] == ",":
                self._at += 1
        self._at += 1


def _unquoted(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 0")))
