"""Other ways to write a pattern, safer ones: offered to a person, or, for an open end, put in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

from poprelay.agents.automaton import Automaton
from poprelay.agents.outline import Atom, Group, Node, Repeat, Sequence, Unjudged, outline
from poprelay.agents.wording import catches_all, walk, wording

_OF_ADDRESS: Final = frozenset("0123456789abcdefABCDEF.:")
_ENDS: Final = r"(?:(?<!\\)(?:\\\\)*\$|\\Z)$"

Edit = tuple[int, int, str]
"""Where a piece of the text begins and ends, and what to write there."""


def guarded(pattern: str) -> str | None:
    """The pattern that takes no message in which the text before the address comes again behind it.

    None if there is no such text. In doubt, no relay: where a pattern's end is open, a name may hold all that follows.

    >>> guarded(r"login (?P<user>[^ ]+) from=(?P<address>[0-9.]+)")
    'login (?P<user>[^ ]+) from=(?P<address>[0-9.]+)(?!.* from=)'
    """
    tree = outline(pattern)
    text = wording(tree).before_address
    address = next((node for node in walk(tree) if isinstance(node, Group) and node.name == "address"), None)
    if address is None or len(text) < 2 or {*text} <= _OF_ADDRESS or not text.isascii():
        return None
    literal = re.escape(text).replace(r"\ ", " ").replace(r"\=", "=")
    return f"{pattern[: address.end]}(?!.*{literal}){pattern[address.end :]}"


def mended(pattern: str, is_sound: Callable[[str], bool]) -> str:
    """The pattern with the fewest changes that is sound and takes what this one does, or ''."""
    expression = re.compile(pattern.encode())
    words = [word for word in Automaton(pattern).words() if expression.match(word)]
    for text in _candidates(pattern):
        try:
            again = re.compile(text.encode())
            if words and all(_same(expression, again, word) for word in words[:1]) and is_sound(text):
                return text
        except (re.error, Unjudged):
            continue
    return ""


def _same(one: re.Pattern[bytes], other: re.Pattern[bytes], word: bytes) -> bool:
    first, second = one.match(word), other.match(word)
    return first is not None and second is not None and first.groupdict() == second.groupdict()


def _candidates(pattern: str) -> Iterator[str]:
    tree = outline(pattern)
    closing: list[Edit] = [] if re.search(_ENDS, pattern) else [(len(pattern), len(pattern), "$")]
    tighter, firmer = list(_tighter(tree)), list(_firmer(tree))
    for edits in ([], tighter, firmer):
        for count in range(1 if edits else 0, len(edits) + 1):
            for some in combinations(edits[:6], count):
                for more in ([], closing):
                    if some or more:
                        yield _edited(pattern, [*some, *more])


def _tighter(tree: Node) -> Iterator[Edit]:
    """Each catch-all as 'anything but the character that follows it'."""
    for node in walk(tree):
        if not isinstance(node, Sequence):
            continue
        for item, behind in zip(node.items, node.items[1:], strict=False):
            inner = item.item if isinstance(item, Group) and not item.look else item
            while isinstance(inner, Sequence) and len(inner.items) == 1:
                inner = inner.items[0]
            sign = _first(behind)
            if catches_all(inner) and isinstance(inner, Repeat) and sign and not sign.isalnum():
                yield inner.start, inner.sign, f"[^{re.escape(sign) if sign in '^]-' + chr(92) else sign}]"


def _first(node: Node) -> str:
    """The character that it begins with, if there is only one."""
    while isinstance(node, Sequence | Group):
        if isinstance(node, Sequence):
            if not node.items:
                return ""
            node = node.items[0]
        else:
            node = node.item
    if isinstance(node, Atom) and node.members.bit_count() == 1:
        sign = chr(node.members.bit_length() - 1)
        return sign if sign.isprintable() and sign.isascii() else ""
    return ""


def _firmer(tree: Node) -> Iterator[Edit]:
    """Each repeat as one that gives nothing back."""
    for node in walk(tree):
        if isinstance(node, Repeat) and node.mode == "greedy":
            yield node.end, node.end, "+"


def _edited(pattern: str, edits: list[Edit]) -> str:
    for start, end, text in sorted(edits, reverse=True):
        pattern = pattern[:start] + text + pattern[end:]
    return pattern
