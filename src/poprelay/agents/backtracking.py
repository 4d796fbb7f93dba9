"""Whether a pattern may try a long line in too many ways before it gives up.

`re` goes back to each repeat that could have ended elsewhere. With two repeats that can share one text, such as the two
`.*` in `.*from=.*\\]`, a line of n bytes is tried in n² ways; with one inside the other, such as `(\\w+ ?)+`, in 2ⁿ.
Read off the automaton (Weber and Seidl, 'On the degree of ambiguity of finite automata', 1991), so nothing is timed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from poprelay.agents.automaton import ACCEPT, Automaton, Step, liked

BOUND: Final = 256
"""A repeat that comes no more often does not count as long."""


class Slowness(NamedTuple):
    """Where the two repeats stand that share a text (the same: it is tried in two ways each time), and a line of
    `size` bytes that keeps them busy is `before`, then `again` over and over."""

    first: int
    second: int
    before: bytes
    again: bytes

    @property
    def exponential(self) -> bool:
        """Whether each byte more doubles the ways, rather than adding some."""
        return self.first == self.second

    def line(self, size: int) -> bytes:
        """A message of about that many bytes, with what no pattern expects at its end."""
        return self.before + self.again * max((size - len(self.before)) // max(len(self.again), 1), 1) + b"\x00"


def slowness(pattern: str) -> Slowness | None:
    """What makes the pattern slow, if anything does. Raises Unjudged."""
    automaton = Automaton(pattern, looks=True)
    following = [[step for step in steps if step.to not in {ACCEPT, automaton.tail}] for steps in automaton.steps]
    loops = _loops([[step.to for step in steps] for steps in following])
    graph = _Graph(automaton, following)
    for states in loops:
        for state in states:
            again = graph.twice(state, states)
            if again is not None:
                return graph.slow(state, state, again)
    lasting = [
        (state, states)
        for states in loops
        for state in sorted(states)
        if automaton.bounds[state] > BOUND
    ]  # fmt: skip
    for first, of_first in lasting:
        for second, of_second in lasting:
            if first != second and second not in of_first and not automaton.swallows(second):
                again = graph.shared(first, of_first, second, of_second)
                if again is not None:
                    return graph.slow(first, second, again)
    return None


class _Graph:
    def __init__(self, automaton: Automaton, following: list[list[Step]]) -> None:
        self._automaton = automaton
        self._following = following

    def slow(self, first: int, second: int, again: bytes) -> Slowness:
        """What is said about these two states."""
        places = self._automaton.places
        return Slowness(places[first][0], places[second][0], self._towards(first), again)

    def twice(self, state: int, within: frozenset[int]) -> bytes | None:
        """A text that leads from a state back to it in two ways."""
        for key, came in self._pairs((state, state), within):
            if came.doubled and key == (state, state):
                return came.text
        return None

    def _pairs(self, start: tuple[int, int], within: frozenset[int]) -> Iterator[tuple[tuple[int, int], _Came]]:
        """Pairs of states that one text leads to from there, and whether the two ways differ somewhere."""
        seen: set[tuple[int, int, bool]] = set()
        waiting = deque([(start, _Came(b"", False))])
        while waiting:
            (one, other), came = waiting.popleft()
            for a in self._following[one]:
                for b in self._following[other]:
                    both = a.members & b.members
                    if not both or a.to not in within or b.to not in within:
                        continue
                    doubled = came.doubled or a.to != b.to or a.ways > 1
                    key = (min(a.to, b.to), max(a.to, b.to))
                    if (*key, doubled) not in seen:
                        seen.add((*key, doubled))
                        further = _Came(came.text + bytes([liked(both)]), doubled)
                        yield key, further
                        waiting.append((key, further))

    def shared(self, first: int, of_first: frozenset[int], second: int, of_second: frozenset[int]) -> bytes | None:
        """A text that leads from the first state to itself, and to the second, and from that to itself."""
        start, goal = (first, first, second), (first, second, second)
        seen = {start}
        waiting = deque([(start, b"")])
        while waiting:
            (one, two, three), text = waiting.popleft()
            for a in self._following[one]:
                for b in self._following[two]:
                    some = a.members & b.members
                    if not some or a.to not in of_first:
                        continue
                    for c in self._following[three]:
                        key = (a.to, b.to, c.to)
                        if not some & c.members or c.to not in of_second or key in seen:
                            continue
                        seen.add(key)
                        further = text + bytes([liked(some & c.members)])
                        if key == goal:
                            return further
                        waiting.append((key, further))
        return None

    def _towards(self, state: int) -> bytes:
        """The shortest text that leads to the state."""
        seen = {0}
        waiting = deque([(0, b"")])
        while waiting:
            at, text = waiting.popleft()
            if at == state:
                return text
            for step in self._following[at]:
                if step.to not in seen:
                    seen.add(step.to)
                    waiting.append((step.to, text + bytes([liked(step.members)])))
        return b""


class _Came(NamedTuple):
    text: bytes
    doubled: bool


def _loops(following: list[list[int]]) -> list[frozenset[int]]:
    """The states that lead to each other, and to themselves: strongly connected."""
    reach = {}
    for state in range(len(following)):
        seen: set[int] = set()
        waiting = list(following[state])
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting.extend(following[at])
        reach[state] = seen
    found: list[frozenset[int]] = []
    for state, seen in reach.items():
        if state in seen and not any(state in loop for loop in found):
            found.append(frozenset(other for other in seen if state in reach[other]))
    return found
