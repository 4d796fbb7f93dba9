"""Patterns timed on long lines that keep an expression busy: parts of real messages over and over.

The structure has been judged before (`poprelay.agents.backtracking`), and this is for what cannot be seen there. A line
counts as slow only if four times its length costs far more than four times the time, at the best of several tries: what
else the machine does makes a try longer, never shorter.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Final

from poprelay.agents.base import Agent
from poprelay.agents.lint import Finding
from poprelay.escape import show

LONG: Final = 65536
SLOW: Final = 0.1
"""Seconds that no line of `LONG` bytes may cost."""

_TRIES: Final = 4
_WORSE: Final = 8  # linear is 4, quadratic 16
_MESSAGES: Final = 6
_SHOWN: Final = 60


def time_agent(agent: Agent, messages: Sequence[bytes]) -> list[Finding]:
    """A finding for each pattern that is slow on lines made from these messages. Takes a second or so."""
    shapes = list(_shapes(messages))
    found: list[Finding] = []
    kinds = {
        "login": agent.login_patterns,
        "connect": agent.connect_patterns,
        "logout": agent.logout_patterns,
        "ends": agent.end_patterns,
        "resembles": (agent.resembling,) if agent.resembling is not None else (),
    }
    for kind, patterns in kinds.items():
        for number, pattern in enumerate(patterns):
            where = kind if len(patterns) == 1 else f"{kind}[{number}]"
            found += _timed(where, pattern, shapes)
    return found


def is_slow(pattern: re.Pattern[bytes], start: bytes, part: bytes) -> bool:
    """Whether the time that it takes for `start` and many times `part` grows faster than that line."""
    long = _line(start, part, LONG)
    if _cost(pattern, long, 1) < SLOW:
        return False
    spent = _cost(pattern, long, _TRIES)
    return spent >= SLOW and spent > _WORSE * _cost(pattern, _line(start, part, LONG // 4), _TRIES)


def _timed(where: str, pattern: re.Pattern[bytes], shapes: Sequence[tuple[bytes, bytes]]) -> Iterator[Finding]:
    for start, part in shapes:
        if is_slow(pattern, start, part):
            example = show((start + part * 3).decode("latin-1"))
            yield Finding(
                "error",
                "backtracking",
                where,
                f"a line of {LONG // 1024} KiB that begins {example[:_SHOWN]!r} is slow, and slower the longer it is",
                "a client who can have such a line written stops the reading of the log",
                "let no two repeats take the same text, or make them possessive (*+)",
                pattern.pattern.decode(),
            )
            return


def _cost(pattern: re.Pattern[bytes], line: bytes, tries: int) -> float:
    """Seconds of this process for one match, at best."""
    best = float("inf")
    for _ in range(tries):
        before = time.process_time()
        pattern.match(line)
        best = min(best, time.process_time() - before)
    return best


def _line(start: bytes, part: bytes, size: int) -> bytes:
    return start + part * ((size - len(start)) // len(part))


def _shapes(messages: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """How hostile lines begin, and what comes over and over then: each beginning of a message, and what follows it."""
    seen: set[tuple[bytes, bytes]] = set()
    for message in messages[:_MESSAGES]:
        tokens = re.findall(rb"[\w.]+|\W+", message)
        for index in range(1, len(tokens)):
            start = b"".join(tokens[:index])
            for width in (1, 2, 4, 8):
                part = b"".join(tokens[index : index + width])
                shape = re.sub(rb"\d+", b"0", start), part
                if part and shape not in seen:
                    seen.add(shape)
                    yield start, part
        yield message[:40], b"1"
        if message:
            yield message, message
