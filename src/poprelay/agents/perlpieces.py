r"""The elements of a Perl expression, as far as we must tell them apart; what only Perl understands is refused with its
place.

    >>> [piece.text for piece in pieces(r"a\d[)](b)")]
    ['a', '\\d', '[)]', '(', 'b', ')']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from poprelay.errors import AgentError

_ESCAPES: Final = {
    **dict.fromkeys("z", "write $"),
    **dict.fromkeys("hH", r"write [ \t]"),
    **dict.fromkeys("vVRN", r"write [^ ] or the characters that are meant"),
    **dict.fromkeys("pP", "write the characters that are meant, in [ ]"),
    **dict.fromkeys("QELUlu", "write the text itself, with \\ before what is special"),
    **dict.fromkeys("KGX", "leave it out, or write an agent in Python"),
    **dict.fromkeys("gk", r"write \1 or \2"),
    **dict.fromkeys("coe", r"write \xNN"),
}
"""Letters that mean something behind a backslash to Perl, and nothing or another thing to Python."""
_GROUPS: Final = ("?:", "?=", "?!", "?<=", "?<!", "?>", "?#")
FLAGS: Final = re.compile(r"\(\?([a-z]*)(?:-[a-z]+)?([:)])")


class Piece(msgspec.Struct, frozen=True):
    """One element as far as we read them: where it begins, its text, and which group it opens (0: none)."""

    at: int
    text: str
    group: int = 0


def pieces(text: str) -> Iterator[Piece]:
    """The elements, in order. AgentError, with `position`, for what Python does not read as Perl does."""
    at = group = 0
    while at < len(text):
        start = at
        match text[at]:
            case "\\":
                at += _escape(text, at)
            case "[":
                at = _class(text, at)
            case "(":
                if text.startswith("(*", at):
                    raise refused(at, "has a verb that only Perl knows", "leave it out")
                opens = _opens(text, at)
                group += opens
                at += 1
                if opens:
                    yield Piece(start, "(", group)
                    continue
            case "{" if re.match(r"\{ *,", text[at:]):
                raise refused(at, "has a repetition that Perl and Python read differently", "write {0,n}")
            case character if not character.isascii():
                raise refused(at, f"has {character!r}", r"write the bytes that the server logs, as \xNN")
            case _:
                at += 1
        yield Piece(start, text[start:at])


def _escape(text: str, at: int) -> int:
    """The length of what a backslash begins."""
    letter = text[at + 1 : at + 2]
    if letter in _ESCAPES:
        raise refused(at, f"has \\{letter}, which only Perl understands", _ESCAPES[letter])
    if text.startswith("x{", at + 1):
        raise refused(at, r"has \x{}, which only Perl understands", r"write \xNN")
    return 2


def _class(text: str, at: int) -> int:
    """Where a character class ends."""
    start = at
    at += 2 if text.startswith("[^", at) else 1
    first = at
    while at < len(text):
        if text[at] == "]" and at > first:
            return at + 1
        if text.startswith(("[:", "[.", "[="), at):
            raise refused(
                at, "has a named class, which only Perl understands", r"write the characters, such as 0-9 or \w"
            )
        at += _escape(text, at) if text[at] == "\\" else 1
    raise refused(start, "has a [ that is not closed", "close it, or write \\[")


def _opens(text: str, at: int) -> bool:
    """Whether the parenthesis there opens a group that counts."""
    rest = text[at + 1 :]
    if not rest.startswith("?"):
        return True
    if rest.startswith(_GROUPS):
        return False
    flags = FLAGS.match(text, at)
    if flags is None or not set(flags[1]) <= set("imsx"):
        raise refused(at, f"has ({rest[:2]}, which only Perl understands", "write ( ) or (?: )")
    if flags[2] == ")" and at:
        raise refused(at, "changes its flags half way", f"write {flags[0]} at its beginning")
    return False


def refused(at: int, what: str, remedy: str) -> AgentError:
    """The refusal of an expression for what stands at that character, from 0."""
    return AgentError(f"the expression {what} at character {at + 1}", remedy=remedy, position=at)
