"""An agent's patterns: from the text that a person wrote to an expression over bytes, with errors that say where.

A pattern is a regular expression in Python's syntax, written as text and matched against the bytes of one whole message
(what stands after `host program[pid]: `). It is anchored at the start; the end is as it says, so it should end in `$`.
`\\d`, `\\s` and `\\w` mean ASCII. Bytes beyond ASCII are written as `\\xNN`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

from poprelay.errors import AgentError

GROUPS: Final = ("user", "address", "service", "tls", "session")
"""The groups that an event is made from; the first two are required in a login."""

_SOUND: Final = (3, 11, 5)
_POSSESSIVE: Final = re.compile(r"(?<!\\)\)(?:[?*+]|\{[\d,]+\})\+")
"""Before that Python such a repeat may move where a group begins (python/cpython#100061, #106052): an address, say. Our
own patterns have atomic groups in its place."""

_parser: Final[Any] = import_module("re._parser")  # re's own reader: what it accepts is what we reason about


def compiled(agent: str, kind: str, pattern: str, needs: Sequence[str] | None = None) -> re.Pattern[bytes]:
    """The expression for `pattern`; AgentError says what is wrong, where, and what to write instead.

    `needs` are the groups that it must have (None: a login those two, another pattern none).

    >>> compiled("mine", "login", r"ok (?P<user>\\S+) (?P<address>[0-9.]+)$").groupindex["address"]
    2
    """
    where: dict[str, object] = {"agent": agent, "pattern": pattern}
    try:
        text = pattern.encode("ascii")
    except UnicodeEncodeError as error:
        raise AgentError(
            f"agent {agent}: the {kind} pattern has {pattern[error.start]!r} at character {error.start + 1}",
            remedy="write the bytes that the server logs, as \\xNN",
            position=error.start,
            **where,
        ) from None
    try:
        expression = re.compile(text)
    except re.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        raise AgentError(
            f"agent {agent}: the {kind} pattern is no regular expression{at}",
            remedy=f"{error.msg}",
            position=error.pos,
            **where,
        ) from None
    misread = _POSSESSIVE.search(pattern) if sys.version_info < _SOUND else None
    if misread is not None:
        raise AgentError(
            f"agent {agent}: the {kind} pattern has a possessive repeat of a group at character {misread.start() + 1}, "
            f"which Python before {'.'.join(map(str, _SOUND))} misreads",
            remedy="write (?>x|) for (?:x)?+, and (?>(?:x)*) for (?:x)*+",
            position=misread.start(),
            **where,
        )
    if needs is None:
        needs = GROUPS[:2] if kind == "login" else ()
    _check_groups(agent, kind, pattern, expression.groupindex, needs)
    return expression


def tree(pattern: str) -> Any:
    """How `re` reads `pattern`: a sequence of (operation, argument), as the module `re._parser` documents it."""
    return _parser.parse(pattern.encode("ascii"))


def _check_groups(agent: str, kind: str, pattern: str, groups: Collection[str], needs: Sequence[str]) -> None:
    where: dict[str, object] = {"agent": agent, "pattern": pattern}
    for group in groups:
        if group not in GROUPS:
            near = get_close_matches(group, GROUPS, 1)
            raise AgentError(
                f"agent {agent}: the {kind} pattern names a group {group!r}",
                remedy=f"did you mean {near[0]!r}?" if near else f"known are {', '.join(GROUPS)}",
                position=pattern.index(f"(?P<{group}>"),
                **where,
            )
    for group in needs:
        if group not in groups:
            example = r"[0-9a-fA-F.:]+" if group == "address" else r"[^ ]+"
            raise AgentError(
                f"agent {agent}: the {kind} pattern has no group {group!r}",
                remedy=f"write (?P<{group}>{example}) where the {group} stands",
                **where,
            )
