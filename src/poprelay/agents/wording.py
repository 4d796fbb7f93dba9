"""What a pattern always says in so many words: before the user name, right before the address, and behind both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from poprelay.agents.automaton import LINE
from poprelay.agents.outline import At, Atom, Choice, Group, Node, Repeat, Sequence

_GAP, _USER, _ADDRESS = "\0", "\1", "\2"
_WORD: Final = re.compile(r"[A-Za-z]{2,}")
_MANY: Final = 16


class Wording(msgspec.Struct, frozen=True):
    """`before_user` and `behind` are words of at least two letters, or ''; `before_address` is text, or ''.

    `user_at` and `user_end` are where the group `user` stands; `catches` are the places of its catch-alls (`.*`).
    """

    before_user: str
    before_address: str
    behind: str
    user_at: int | None
    user_end: int
    catches: tuple[int, ...]


def wording(node: Node) -> Wording:
    """The words of a pattern.

    >>> from poprelay.agents.outline import outline
    >>> said = wording(outline(r"hello (?P<user>.*) from=(?P<address>[0-9.]+) well$"))
    >>> said.before_user, said.before_address, said.behind, said.catches
    ('hello', ' from=', 'well', (15,))
    """
    text = _text(node)
    before, _, rest = text.partition(_USER)
    user = next((each for each in walk(node) if isinstance(each, Group) and each.name == "user"), None)
    # what the address alone is behind is before the name, and then it says nothing of him who wrote that
    last = max(text.rfind(_USER), text.rfind(_ADDRESS))
    word = _WORD.search(text[last + 1 :])
    first = _WORD.search(before.replace(_ADDRESS, _GAP))
    run = re.search(rf"[^{_GAP}{_USER}]*$", text.partition(_ADDRESS)[0])
    return Wording(
        before_user=first[0] if first else "",
        before_address=run[0] if run and _ADDRESS in text else "",
        behind=word[0] if word and (rest or not user) else "",
        user_at=user.start if user else None,
        user_end=user.end if user else 0,
        catches=tuple(each.start for each in walk(node) if catches_all(each)),
    )


def catches_all(node: Node) -> bool:
    """Whether it is a `.*` or `.+`, or as good as one."""
    return (
        isinstance(node, Repeat)
        and node.high > _MANY
        and isinstance(node.item, Atom)
        and (node.item.members & LINE).bit_count() > 250
    )


def walk(node: Node) -> Iterator[Node]:
    """The node and all within it, in the order of the text."""
    yield node
    match node:
        case Sequence():
            for item in node.items:
                yield from walk(item)
        case Choice():
            for branch in node.branches:
                yield from walk(branch)
        case Repeat() | Group():
            yield from walk(node.item)


def _text(node: Node) -> str:
    """What it always says, with marks for the name, the address, and for what is not always the same."""
    match node:
        case Atom():
            return chr(node.members.bit_length() - 1) if node.members.bit_count() == 1 else _GAP
        case At():
            return ""
        case Sequence():
            return "".join(map(_text, node.items))
        case Choice():
            texts = [_text(branch) for branch in node.branches]
            marked = [text for text in texts if _USER in text or _ADDRESS in text]
            return (marked or sorted(texts, key=_worth))[0]
        case Group():
            if node.look:
                return ""
            return {"user": _USER, "address": _ADDRESS}.get(node.name) or _text(node.item)
    return _GAP + _text(node.item) + _GAP if node.low else _GAP


def _worth(text: str) -> int:
    return sum(map(len, _WORD.findall(text)))
