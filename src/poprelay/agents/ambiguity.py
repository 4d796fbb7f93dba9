"""Whether a message can be read in two ways, with two addresses: then who writes one of them chooses who may relay.

Two readers go over all messages at once, byte by byte. The first is what the server means: with `free`, its client may
have written anything into the name, else only what the pattern lets it. The second is the pattern.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from poprelay.agents.automaton import ACCEPT, Automaton, Step, liked

TRUE: Final = b"192.0.2.7"
FORGED: Final = b"6.6.6.6"
SEARCHED: Final = 200_000
"""Pairs of states after which a search ends: see `Searching`."""

_TRIED: Final = 40
_NEITHER, _MEANT, _TAKEN, _BOTH = range(4)
_Pair: TypeAlias = tuple[int, int, int]  # the two states, and which address has begun


class Searching(Exception):
    """The pattern is too big to be searched."""


class Forgery(NamedTuple):
    """A message, the address that it means, and the one that the pattern takes; where both begin."""

    message: bytes
    meant: int
    taken: int

    @property
    def early(self) -> bool:
        """Whether the forged address stands before the true one."""
        return self.taken < self.meant


def forgeries(pattern: str, expression: re.Pattern[bytes], *, free: str = "") -> Iterator[Forgery]:
    """Messages in which the pattern takes another address than what the server means. Raises Unjudged, Searching."""
    words = _double(Automaton(pattern, free=free), Automaton(pattern))
    for word, meant, taken in islice(words, _TRIED):
        found = expression.match(word)
        if found is not None and found["address"]:
            begins = found.start("address")
            if begins == taken or (begins == meant and not free):
                other = meant + taken - begins
                yield _plain(expression, Forgery(word, other, begins), found.end("address"))


def _double(meaning: Automaton, taking: Automaton) -> Iterator[tuple[bytes, int, int]]:
    """Words that both read, and where each finds an address: at different places. The shortest come first."""
    start: _Pair = (0, 0, _NEITHER)
    came: dict[_Pair, tuple[_Pair, int]] = {start: (start, 0)}
    waiting = deque([start])
    told: set[tuple[int, int]] = set()
    while waiting:
        here = waiting.popleft()
        for one in meaning.steps[here[0]]:
            for other in taking.steps[here[1]]:
                phase = _phase(here[2], one, other)
                if phase is None:
                    continue
                if one.to == other.to == ACCEPT:
                    if phase == _BOTH and here[:2] not in told:
                        told.add((here[0], here[1]))
                        yield _told(came, here)
                    continue
                both = one.members & other.members
                there = (one.to, other.to, phase)
                if both and there not in came:
                    came[there] = (here, both)
                    waiting.append(there)
        if len(came) > SEARCHED:
            raise Searching


def _phase(phase: int, one: Step, other: Step) -> int | None:
    """Which address has begun after these steps; None: both begin here, or not both at a message's end."""
    if (one.to == ACCEPT) != (other.to == ACCEPT) or (one.begins and other.begins):
        return None
    if one.begins:
        phase |= _MEANT
    if other.begins:
        phase |= _TAKEN
    return phase


def _told(came: dict[_Pair, tuple[_Pair, int]], last: _Pair) -> tuple[bytes, int, int]:
    """The word that led to these states, and where the two addresses begin in it."""
    word: list[int] = []
    phases = [last[2]]
    while last != (0, 0, _NEITHER):
        before, members = came[last]
        word.append(liked(members))
        last = before
        phases.append(last[2])
    phases.reverse()
    meant, taken = (
        next((number for number, phase in enumerate(phases) if phase & bit), len(phases)) - 1
        for bit in (_MEANT, _TAKEN)
    )
    return bytes(reversed(word)), meant, taken


def _plain(expression: re.Pattern[bytes], found: Forgery, end: int) -> Forgery:
    """The same with addresses in it that can be told apart, if it still deceives the pattern then."""
    first, second = sorted((found.meant, found.taken))
    stop = re.compile(rb"[0-9a-fA-F.:]*").match(found.message, second)
    assert stop is not None
    if found.taken < found.meant:
        message = found.message[:first] + FORGED + found.message[end:second] + TRUE + found.message[stop.end() :]
        meant, taken = second + len(FORGED) - (end - first), first
    else:
        middle = re.compile(rb"[0-9a-fA-F.:]*").match(found.message, first)
        assert middle is not None
        message = found.message[:first] + TRUE + found.message[middle.end() : second] + FORGED + found.message[end:]
        meant, taken = first, second + len(TRUE) - (middle.end() - first)
    again = expression.match(message)
    if again is None or again.start("address") != taken or again["address"] != FORGED:
        return found
    return Forgery(message, meant, taken)
