from __future__ import annotations

import re

import pytest

from poprelay.agents.outline import ENDLESS, Atom, Choice, Group, Repeat, Sequence, Unjudged, outline
from poprelay.agents.wording import walk


def repeats(pattern: str) -> list[tuple[str, int, int, str]]:
    return [
        (pattern[node.start : node.sign], node.low, node.high, node.mode)
        for node in walk(outline(pattern))
        if isinstance(node, Repeat)
    ]


def test_repeats_are_read_with_their_bounds_and_modes() -> None:
    assert repeats(r"a*b+?c?+[^]x]{2,5}\d{3}.{,7}(?:xy){4,}+{z}") == [
        ("a", 0, ENDLESS, "greedy"),
        ("b", 1, ENDLESS, "lazy"),
        ("c", 0, 1, "possessive"),
        ("[^]x]", 2, 5, "greedy"),
        (r"\d", 3, 3, "greedy"),
        (".", 0, 7, "greedy"),
        ("(?:xy)", 4, ENDLESS, "possessive"),
    ]


@pytest.mark.parametrize("text", ["a", r"\x41", r"\d", r"[^a-z\]]", ".", r"\.", "[]x]", r"[\w-]", r"\0", r"\101", "{"])
def test_an_atom_stands_for_the_bytes_that_re_says(text: str) -> None:
    (atom,) = [node for node in walk(outline(text)) if isinstance(node, Atom)]
    assert (atom.start, atom.end) == (0, len(text))
    expression = re.compile(text.encode())
    assert [bool(atom.members >> byte & 1) for byte in range(256)] == [
        expression.fullmatch(bytes([byte])) is not None for byte in range(256)
    ]


def test_flags_hold_where_they_are_set() -> None:
    atoms = [node for node in walk(outline(r"(?i)a(?-i:b)(?s:.).")) if isinstance(node, Atom)]
    assert [atom.members.bit_count() for atom in atoms] == [2, 1, 256, 255]


def test_groups_know_their_names_and_whether_they_only_look() -> None:
    groups = [
        node for node in walk(outline(r"(?P<user>a)(?:b)(c)(?=d)(?!e)(?<=f)(?<!g)(?>h)(?#)")) if isinstance(node, Group)
    ]
    assert [(group.name, group.look) for group in groups] == [
        ("user", False),
        ("", False),
        ("", False),
        *[("", True)] * 4,
        ("", False),
    ]


def test_alternatives_are_one_node() -> None:
    tree = outline("ab|c|")
    assert isinstance(tree, Choice)
    assert [len(branch.items) for branch in tree.branches if isinstance(branch, Sequence)] == [2, 1, 0]


@pytest.mark.parametrize(
    ("pattern", "place"),
    [(r"(a\1)", 2), (r"(a)?(?(1)b|c)", 4), ("(?x)a b", 0), ("(?m)^a", 0)],
)
def test_what_it_cannot_follow_it_says(pattern: str, place: int) -> None:
    with pytest.raises(Unjudged) as refusal:
        outline(pattern)
    assert refusal.value.place == place


def test_a_reference_is_its_group_once_more() -> None:
    tree = outline(r"(?P<user>[ab])-(?P=user)-\1-(c)\2")
    groups = [node.item for node in walk(tree) if isinstance(node, Group)]
    assert groups[0] is groups[1] is groups[2] is not groups[3]
    assert groups[3] is groups[4]
