"""Needles: literal texts, one of which is in every line that a pattern takes. One pass finds the lines worth reading.

They are read off the pattern itself. A needle holds no quote, backslash or control character, so that it is the same in
a journal's JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import product
from typing import Any, Final

from poprelay.agents.base import Agent
from poprelay.agents.patterns import tree
from poprelay.errors import AgentError
from poprelay.scan.rows import MARK

LIMIT: Final = 64
"""More needles than this at once slow the search five-fold (all agents together)."""

_FEW: Final = 8  # texts that one place in a pattern may stand for
_SHORTEST: Final = 4
_COST: Final = 5.0  # characters that a doubling of the number of needles must bring

_Texts = tuple[bytes, ...]
_SAFE: Final = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')


def needles(agent: Agent) -> tuple[_Texts, _Texts]:
    """The needles of the agent's logins and of its logouts. AgentError: a pattern has no text of its own.

    An agent that joins lines must see each of its connects and ends as well: its programs are its needles. One that
    reads rows must see the lines that name their columns.
    """
    programs = tuple(program.lstrip("*").encode() for program in agent.programs if program)
    if agent.connect_patterns and programs and not agent.login_needles:
        return programs, ()
    logins = tuple(text.encode() for text in agent.login_needles)
    ends = tuple(text.encode() for text in agent.logout_needles)
    named = (MARK,) if agent.columns else ()
    return (
        (*named, *(logins or _of_all(agent, "login", [pattern.pattern for pattern in agent.login_patterns]))),
        ends or _of_all(agent, "logout", [pattern.pattern for pattern in agent.logout_patterns]),
    )


def derived(pattern: str) -> _Texts:
    """The best needles of one pattern, or none.

    >>> derived(r"\\((?P<user>[^,()]+),(?P<address>[0-9.]+)\\) Authenticated$")
    (b') Authenticated',)
    >>> derived(r"(?P<service>imap|pop3)-login: (?:Login|Logged in): user=<(?P<user>.*)>")
    (b'-login: Login: user=<', b'-login: Logged in: user=<')
    """
    best: _Texts = ()
    worth = 0.0
    parsed = tree(pattern)
    if parsed.state.flags & re.IGNORECASE:
        return best
    for pieces in _runs(parsed):
        for first in range(len(pieces)):
            for last in range(first + 1, len(pieces) + 1):
                count = math.prod(len(piece) for piece in pieces[first:last])
                if count > _FEW:
                    break
                shortest = sum(min(map(len, piece)) for piece in pieces[first:last])
                value = shortest - _COST * math.log2(count)
                if shortest >= _SHORTEST and value > worth:
                    best, worth = _joined(pieces[first:last]), value
    return best


def fewest(texts: Iterable[bytes]) -> _Texts:
    """The same without those that contain another: that one is found wherever they are."""
    distinct = tuple(dict.fromkeys(texts))
    return tuple(text for text in distinct if not any(other in text for other in distinct if other != text))


def _of_all(agent: Agent, kind: str, patterns: list[bytes]) -> _Texts:
    found: list[bytes] = []
    for pattern in patterns:
        texts = derived(pattern.decode())
        if not texts:
            raise AgentError(
                f"agent {agent.name}: the {kind} pattern has no text of {_SHORTEST} characters that is always there",
                remedy=f"give the agent `{kind}_needles`: texts, one of which is in every such line",
                agent=agent.name,
                pattern=pattern.decode(),
            )
        found.extend(texts)
    return tuple(dict.fromkeys(found))


def _joined(pieces: list[_Texts]) -> _Texts:
    return tuple(dict.fromkeys(b"".join(parts) for parts in product(*pieces)))


def _runs(parsed: Any) -> list[list[_Texts]]:
    """Stretches of the pattern that stand for few texts: each a list of pieces, each piece its possible texts."""
    runs: list[list[_Texts]] = [[]]
    for operation, argument in parsed:
        texts = _texts(operation, argument)
        if texts is not None:
            runs[-1].append(texts)
        else:
            inner = _inside(operation, argument)
            runs.extend(inner)
            runs.append([])
    return [_cut(run) for run in runs if run]


def _texts(operation: Any, argument: Any) -> _Texts | None:
    """All texts that one element of a pattern may stand for, or None if they are many or unsafe."""
    match str(operation):
        case "LITERAL":
            return (bytes([argument]),) if argument in _SAFE else None
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return (b"",)
        case "SUBPATTERN":
            _, add_flags, _, inner = argument
            return None if add_flags else _sequence(inner)
        case "ATOMIC_GROUP":
            return _sequence(argument)
        case "BRANCH":
            found = [_sequence(branch) for branch in argument[1]]
            return _limited([text for texts in found if texts is not None for text in texts]) if all(found) else None
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, inner = argument
            texts = _sequence(inner)
            if texts is None or (low, high) not in {(0, 1), (1, 1)}:
                return None
            return _limited([b"", *texts] if low == 0 else list(texts))
    return None


def _sequence(parsed: Any) -> _Texts | None:
    found: list[_Texts] = []
    for operation, argument in parsed:
        texts = _texts(operation, argument)
        if texts is None:
            return None
        found.append(texts)
        if math.prod(map(len, found)) > _FEW:
            return None
    return _joined(found)


def _limited(texts: list[bytes]) -> _Texts | None:
    distinct = tuple(dict.fromkeys(texts))
    return distinct if 0 < len(distinct) <= _FEW else None


def _inside(operation: Any, argument: Any) -> list[list[_Texts]]:
    """Runs inside an element that is too long to be one piece, but is always there."""
    match str(operation):
        case "SUBPATTERN" if not argument[1]:
            return _runs(argument[3])
        case "ATOMIC_GROUP":
            return _runs(argument)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT" if argument[0] >= 1:
            return _runs(argument[2])
    return []


def _cut(run: list[_Texts]) -> list[_Texts]:
    """Neighbouring literals as one piece, so that few pieces are tried."""
    merged: list[_Texts] = []
    for texts in run:
        if merged and len(texts) == 1 and len(merged[-1]) == 1:
            merged[-1] = (merged[-1][0] + texts[0],)
        else:
            merged.append(texts)
    return merged
