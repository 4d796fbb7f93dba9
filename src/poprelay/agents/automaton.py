"""A pattern as an automaton: which byte may follow which, by what part of the pattern, and in how many ways.

It takes a little more than the pattern does: what only looks ahead is not asked, a count over `_MOST` is any number,
and brackets that give nothing back may. A possessive repeat of one part, as in `[^>]*+`, is exact: it ends where it
must. So a fault that is seen here may be none, but none that is there is missed.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from poprelay.agents.outline import ENDLESS, At, Atom, Choice, Group, Node, Repeat, Sequence, outline

ACCEPT: Final = -1
EVERY: Final = (1 << 256) - 1
LINE: Final = EVERY & ~(1 << 10)
"""Every byte that a line may hold."""

_LIKED: Final = b"x6 ,=:.abcdefghijklmnopqrstuvwyz0123456789"
_MOST: Final = 4  # a part that comes more often is one that comes as often as it likes


def liked(members: int) -> int:
    """One of these bytes, one that reads well if there is one."""
    for byte in _LIKED:
        if members >> byte & 1:
            return byte
    return next((byte for byte in range(33, 127) if members >> byte & 1), (members & -members).bit_length() - 1)


class Step(NamedTuple):
    """A way from one byte to the next: the state that reads it (ACCEPT: the message has ended), which bytes will do,
    whether the address begins here, and how many ways there are to get there (2: several)."""

    to: int
    members: int
    begins: bool
    ways: int


class Automaton:
    """`steps[0]` leads in; state N has just read a byte by the part of the pattern at `places[N]`.

    In the group called `free` any text may stand. Behind a pattern whose end is open, anything may. With `looks`, what
    looks ahead is a way that leads nowhere: that costs time, too. Raises Unjudged.
    """

    def __init__(self, pattern: str, *, free: str = "", looks: bool = False) -> None:
        self.places: Final[list[tuple[int, int]]] = [(0, 0)]
        self.bounds: Final[list[int]] = [ENDLESS]
        """Of each state, how often at most the repeat around it comes, the innermost one."""
        self._free: Final = free
        self._looks: Final = looks
        self._members: Final[list[int]] = [0]
        self._empty: Final[list[list[tuple[int, int, bool]]]] = []  # of a knot: to which, not before what, begins
        self._reads: Final[list[int]] = []  # of a knot: the state that reads there, or 0
        start, end = self._knot(), self._knot()
        self._build(outline(pattern), start, end, ENDLESS)
        self.tail: Final = self._state(LINE, (len(pattern), len(pattern)), end, end, ENDLESS)
        """The state that reads what stands behind a pattern whose end is open."""
        self._last: Final = end
        self._behind: Final = self._targets()
        self.steps: Final = [self._closure(start), *(self._closure(knot) for knot in self._behind[1:])]

    def words(self) -> list[bytes]:
        """Messages that it takes: the shortest for each state that one can end in."""
        found: list[bytes] = []
        seen = {0}
        waiting = deque([(0, b"")])
        while waiting:
            state, text = waiting.popleft()
            for step in self.steps[state]:
                if step.to == ACCEPT:
                    found.append(text)
                elif step.to not in seen:
                    seen.add(step.to)
                    waiting.append((step.to, text + bytes([liked(step.members)])))
        return list(dict.fromkeys(found))

    def reached(self) -> set[int]:
        """The states that some message leads to."""
        seen = {0}
        waiting = [0]
        while waiting:
            for step in self.steps[waiting.pop()]:
                if step.to != ACCEPT and step.to not in seen:
                    seen.add(step.to)
                    waiting.append(step.to)
        return seen

    def swallows(self, state: int) -> bool:
        """Whether from there on every line is taken to its end, as by `.*` there."""
        ends = any(step.to in {ACCEPT, self.tail} for step in self.steps[state])
        return ends and any(step.to == state and step.members == LINE for step in self.steps[state])

    def _knot(self, reads: int = 0) -> int:
        self._empty.append([])
        self._reads.append(reads)
        return len(self._empty) - 1

    def _link(self, start: int, end: int, forbidden: int = 0, *, begins: bool = False) -> None:
        self._empty[start].append((end, forbidden, begins))

    def _state(self, members: int, place: tuple[int, int], start: int, end: int, bound: int) -> int:
        """A state that reads one byte between two knots."""
        self._members.append(members)
        self.places.append(place)
        self.bounds.append(bound)
        state = len(self._members) - 1
        knot = self._knot(state)
        self._link(start, knot)
        self._empty[knot].append((end, -1, False))  # -1: by reading
        return state

    def _targets(self) -> list[int]:
        """Of each state, the knot behind it."""
        found = [0] * len(self._members)
        for knot, state in enumerate(self._reads):
            if state:
                found[state] = self._empty[knot][0][0]
        return found

    def _build(self, node: Node, start: int, end: int, bound: int) -> None:
        match node:
            case Atom():
                self._state(node.members & LINE, (node.start, node.end), start, end, bound)
            case At():
                self._link(start, end, EVERY if node.text in {"$", r"\Z"} else 0)
            case Sequence():
                for item in node.items[:-1]:
                    middle = self._knot()
                    self._build(item, start, middle, bound)
                    start = middle
                self._build(node.items[-1], start, end, bound) if node.items else self._link(start, end)
            case Choice():
                for branch in node.branches:
                    self._build(branch, start, end, bound)
            case Group():
                self._group(node, start, end, bound)
            case Repeat():
                self._repeat(node, start, end, min(bound, node.high) if node.high > _MOST else bound)

    def _group(self, node: Group, start: int, end: int, bound: int) -> None:
        if node.look:
            self._link(start, end)
            if self._looks:
                self._build(node.item, start, self._knot(), bound)
        elif node.name and node.name == self._free:
            self._state(LINE, (node.start, node.end), start, start, bound)
            self._link(start, end)
        elif node.name == "address":
            inside = self._knot()
            self._link(start, inside, begins=True)
            self._build(node.item, inside, end, bound)
        else:
            self._build(node.item, start, end, bound)

    def _repeat(self, node: Repeat, start: int, end: int, bound: int) -> None:
        single = node.item.members & LINE if isinstance(node.item, Atom) else 0
        keeps = single if node.mode == "possessive" else 0  # it does not end before what it would take
        low, high = min(node.low, _MOST), node.high
        for _ in range(low):
            middle = self._knot()
            self._build(node.item, start, middle, bound)
            start = middle
        if high <= _MOST:
            for _ in range(high - low):
                self._link(start, end, keeps)
                middle = self._knot()
                self._build(node.item, start, middle, bound)
                start = middle
            self._link(start, end)
            return
        keeps = keeps if high == ENDLESS else 0
        inside, behind = self._knot(), self._knot()
        self._link(start, inside)
        self._link(start, end, keeps)
        self._build(node.item, inside, behind, bound)
        self._link(behind, inside)
        self._link(behind, end, keeps)

    def _closure(self, knot: int) -> tuple[Step, ...]:
        """Every step that can be taken there, by any path that reads nothing and meets no knot twice."""
        found: dict[tuple[int, int, bool], int] = {}
        waiting: list[tuple[int, int, bool, frozenset[int]]] = [(knot, 0, False, frozenset())]
        while waiting:
            at, forbidden, begins, seen = waiting.pop()
            state = self._reads[at]
            members = self._members[state] & ~forbidden
            if state and members:
                found[state, members, begins] = found.get((state, members, begins), 0) + 1
            if at == self._last:
                found[ACCEPT, 0, begins] = found.get((ACCEPT, 0, begins), 0) + 1
            for to, less, marks in () if state else self._empty[at]:
                if to not in seen:
                    waiting.append((to, forbidden | less, begins or marks, seen | {at}))
        return tuple(Step(*key, min(ways, 2)) for key, ways in found.items())
