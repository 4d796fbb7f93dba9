"""A pattern as a tree whose every part knows where it stands in the text, to reason about it and to point at it.

`re` keeps no places. What a part of the text means is still asked of `re` itself, so that this only follows the
outline: groups, repeats, alternatives, and what takes one byte. A reference to a group is that group once more.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, Literal, TypeAlias

import msgspec

ENDLESS: Final = 1 << 30
"""The upper bound of a repeat that has none."""

_GROUP: Final = re.compile(
    r"\((?:\?(?:P<(?P<name>\w+)>|(?P<kind>:|>|=|!|<=|<!)|(?P<flags>[aiLmsux]*(?:-[imsx]+)?)(?P<scope>[:)])|(?P<remark>#)"
    r"|P=(?P<again>\w+)\)|(?P<other>.?)))?",
    re.DOTALL,
)
_COUNT: Final = re.compile(r"\{(\d*)(,?)(\d*)\}")
_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|0[0-7]{0,2}|[0-7]{3}|.)", re.DOTALL)
_REFERENCE: Final = re.compile(r"\\([1-9]\d?)(?!\d)")
_ALL: Final = bytes(range(256))


class Unjudged(Exception):
    """The pattern has something that cannot be reasoned about: what, and where."""

    def __init__(self, what: str, place: int) -> None:
        super().__init__(what)
        self.what = what
        self.place = place


class Atom(msgspec.Struct, frozen=True):
    """What takes one byte; bit N of `members` says whether byte N will do."""

    start: int
    end: int
    members: int


class At(msgspec.Struct, frozen=True):
    """What takes nothing: `$`, `^`, `\\b`."""

    start: int
    end: int
    text: str


class Sequence(msgspec.Struct, frozen=True):
    """One part after the other."""

    start: int
    end: int
    items: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    """Alternatives, tried in order."""

    start: int
    end: int
    branches: tuple[Node, ...]


class Repeat(msgspec.Struct, frozen=True):
    """A part several times; its quantifier begins at `sign`."""

    start: int
    end: int
    sign: int
    item: Node
    low: int
    high: int
    mode: Literal["greedy", "lazy", "possessive"]


class Group(msgspec.Struct, frozen=True):
    """Brackets. `name` is that of a named group; `look` says that it only looks, ahead or back."""

    start: int
    end: int
    item: Node
    name: str = ""
    look: bool = False


Node: TypeAlias = Atom | At | Sequence | Choice | Repeat | Group


def outline(pattern: str) -> Node:
    """The tree of a pattern that `re` accepts. Raises Unjudged.

    >>> outline("ab*").items[1].sign
    2
    """
    reading = _Reading(pattern)
    found = reading.choice(0, 0)
    if reading.at < len(pattern):
        raise Unjudged("an odd bracket", reading.at)
    return found


@cache
def _members(text: str, flags: int) -> int:
    """The bytes that will do for this part."""
    found = 0
    for each in re.compile(text.encode(), flags).findall(_ALL):
        found |= 1 << each[0]
    return found


class _Reading:
    def __init__(self, pattern: str) -> None:
        self.at = 0
        self._text = pattern
        self._count = 0
        self._groups: dict[str, Node] = {}  # by name, and by number

    def choice(self, flags: int, start: int) -> Node:
        branches = [self._sequence(flags)]
        while self._text.startswith("|", self.at):
            self.at += 1
            branches.append(self._sequence(flags))
        return branches[0] if len(branches) == 1 else Choice(start, self.at, tuple(branches))

    def _sequence(self, flags: int) -> Node:
        start, items = self.at, []
        while self.at < len(self._text) and self._text[self.at] not in "|)":
            item, flags = self._part(flags)
            if item is not None:
                items.append(self._repeated(item))
        return Sequence(start, self.at, tuple(items))

    def _part(self, flags: int) -> tuple[Node | None, int]:
        """One part, without its quantifier; flags that hold from here on."""
        start, sign = self.at, self._text[self.at]
        if sign == "(":
            return self._group(flags)
        if sign in "^$" or self._text[start : start + 2] in {r"\b", r"\B", r"\A", r"\Z"}:
            if flags & re.MULTILINE:
                raise Unjudged("the flag m", start)
            self.at += 1 if sign in "^$" else 2
            return At(start, self.at, self._text[start : self.at]), flags
        again = _REFERENCE.match(self._text, start)
        if again is not None:
            return self._again(again[1], again.end()), flags
        self.at = self._end_of_atom(start, sign)
        return Atom(start, self.at, _members(self._text[start : self.at], flags)), flags

    def _end_of_atom(self, start: int, sign: str) -> int:
        if sign not in "[\\":
            return start + 1
        found = (_CLASS if sign == "[" else _ESCAPE).match(self._text, start)
        assert found is not None
        return found.end()

    def _again(self, group: str, end: int) -> Node:
        """A group that is referred to."""
        start, self.at = self.at, end
        if group not in self._groups:
            raise Unjudged("a reference to a group that is not complete", start)
        return Group(start, end, self._groups[group])

    def _group(self, flags: int) -> tuple[Node | None, int]:
        start = self.at
        found = _GROUP.match(self._text, start)
        if found is None or found["other"] is not None:
            raise Unjudged("a condition", start)
        if found["again"]:
            return self._again(found["again"], found.end()), flags
        self.at = found.end()
        if found["remark"]:
            self.at = self._text.index(")", self.at) + 1
            return None, flags
        within = flags
        if found["scope"]:
            within = _with(flags, found["flags"], start)
            if found["scope"] == ")":
                return None, within
        number = self._number(found)
        item = self.choice(within, self.at)
        self.at += 1
        self._groups |= {name: item for name in (number, found["name"]) if name}
        look = found["kind"] in {"=", "!", "<=", "<!"}
        return Group(start, self.at, item, found["name"] or "", look), flags

    def _number(self, found: re.Match[str]) -> str:
        """The number of a group that has one, else ''."""
        if found["name"] is None and found[0] != "(":
            return ""
        self._count += 1
        return str(self._count)

    def _repeated(self, item: Node) -> Node:
        """The part with its quantifier, if it has one."""
        sign = self.at
        mark = self._text[sign : sign + 1]
        if mark and mark in "*+?":
            low, high = {"*": (0, ENDLESS), "+": (1, ENDLESS), "?": (0, 1)}[mark]
            self.at += 1
        else:
            count = _COUNT.match(self._text, sign) if mark == "{" else None
            if count is None or not (count[1] or count[3]):
                return item
            low = int(count[1] or 0)
            high = int(count[3]) if count[3] else ENDLESS if count[2] else low
            self.at = count.end()
        mode: Literal["greedy", "lazy", "possessive"] = "greedy"
        if self._text.startswith("+", self.at):
            mode, self.at = "possessive", self.at + 1
        elif self._text.startswith("?", self.at):
            mode, self.at = "lazy", self.at + 1
        return Repeat(item.start, self.at, sign, item, low, high, mode)


def _with(flags: int, signs: str, place: int) -> int:
    """The flags with those that `(?i-s:` turns on and off."""
    on, _, off = signs.partition("-")
    if {"x", "m", "L"} & {*on}:
        raise Unjudged(f"the flag {on}", place)
    named = {"i": re.IGNORECASE, "s": re.DOTALL, "a": re.RegexFlag(0), "m": re.MULTILINE, "x": re.VERBOSE}
    for sign in on:
        flags |= named.get(sign, re.RegexFlag(0))
    for sign in off:
        flags &= ~named.get(sign, re.RegexFlag(0))
    return flags
