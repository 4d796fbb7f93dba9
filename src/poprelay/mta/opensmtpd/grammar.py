"""The text of smtpd.conf(5) as statements: words, with macros and included files put in.

A statement ends with its line, if no brace is open; a comma, a brace, `<`, `>`, `=` and `!` are words of their own.

>>> [one.words for one in parse("relay = out\\nmatch !from src <a> for any action $relay # x", Path("/x"), 'i'.index)]
[('match', '!', 'from', 'src', '<', 'a', '>', 'for', 'any', 'action', 'out')]
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<blank>(?:[ \t\r]|\\\n|#[^\n]*)+)|(?P<end>\n)|(?P<mark>[{}<>,=!])|'
    r'(?P<word>(?:[^\s{}<>,=!"#\\]|\\[^\n])+)|(?P<odd>.)'
)
_DEEPEST: Final = 10
"""Files that include one another."""


class Statement(NamedTuple):
    """One statement: its words, the file that it stands in, and where in its text it begins and its last line ends."""

    words: tuple[str, ...]
    file: Path
    begin: int
    end: int


def parse(text: str, file: Path, read: Callable[[str], object], depth: int = 0) -> list[Statement]:
    """The statements of a file, and of those that it includes in their place. `read` gives a file's text."""
    macros: dict[str, str] = {}
    return _parse(text, file, read, macros, depth)


def _parse(text: str, file: Path, read: Callable[[str], object], macros: dict[str, str], depth: int) -> list[Statement]:
    found: list[Statement] = []
    words: list[str] = []
    begin = nested = 0
    for token in (*_TOKEN.finditer(text), None):
        kind = token.lastgroup if token is not None else "end"
        if token is not None and kind in ("quoted", "mark", "word", "odd"):
            if not words:
                begin = token.start()
            word = token.group()
            nested += (word == "{") - (word == "}") if kind == "mark" else 0
            words.append(word[1:-1] if kind == "quoted" else macros.get(word[1:], word) if word[0] == "$" else word)
        elif kind == "end" and words and (nested <= 0 or token is None):
            end = token.end() if token is not None else len(text)
            if len(words) == 3 and words[1] == "=":
                macros[words[0]] = words[2]
            elif words[0] == "include" and len(words) == 2 and depth < _DEEPEST:
                found += _parse(str(read(words[1])), Path(words[1]), read, macros, depth + 1)
            else:
                found.append(Statement(tuple(words), file, begin, end))
            words, nested = [], 0
    return found
