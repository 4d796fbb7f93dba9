"""What is wrong or doubtful about a pattern, why that matters, and how to mend it.

An error is a pattern with which a client can name an address that is not his own, or make one line cost minutes.
A mended pattern is only offered if nothing is wrong with it and it takes what the first one was written for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from poprelay.agents.ambiguity import Forgery, Searching, forgeries
from poprelay.agents.automaton import Automaton
from poprelay.agents.backtracking import slowness
from poprelay.agents.base import Agent
from poprelay.agents.mending import guarded, mended
from poprelay.agents.outline import Unjudged, outline
from poprelay.agents.wording import Wording, wording
from poprelay.escape import show

Severity = Literal["error", "warning"]

KINDS: Final = ("login", "connect", "logout", "ends")


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong (an error) or doubtful (a warning).

    `about` is one word for programs: end, forgery, backtracking, unjudged, pattern, needle, samples. `where` says which
    pattern or sample. `place` counts characters of `pattern` from 0.
    """

    severity: Severity
    about: str
    where: str
    message: str
    why: str = ""
    remedy: str = ""
    pattern: str = ""
    place: int | None = None
    rewritten: str = ""
    guarded: bool = False
    """Whether it is no error only because the pattern will be guarded."""

    def pointed(self) -> str:
        """The pattern with a caret under the place; '' if there is none."""
        if not self.pattern:
            return ""
        return self.pattern if self.place is None else f"{self.pattern}\n{' ' * self.place}^"

    def sentence(self) -> tuple[str, str]:
        """The same on one line: what is wrong, and why; and the remedy."""
        at = "" if self.place is None else f"at character {self.place + 1}, "
        remedy = f"{self.remedy}: {self.rewritten}" if self.rewritten else self.remedy
        return f"{at}{self.message}" + (f": {self.why}" if self.why else ""), remedy


def lint_agent(agent: Agent) -> list[Finding]:
    """All findings about an agent's patterns. Its samples are tried by `poprelay.scan.trial`."""
    if agent.whole_line:
        return []
    groups = (agent.login_patterns, agent.connect_patterns, agent.logout_patterns, agent.end_patterns)
    found: list[Finding] = []
    for kind, patterns in zip(KINDS, groups, strict=True):
        for number, pattern in enumerate(patterns):
            where = kind if len(patterns) == 1 else f"{kind}[{number}]"
            found += lint_pattern(kind, pattern.pattern.decode(), where)
    if agent.resembling is not None:
        found += lint_pattern("resembles", agent.resembling.pattern.decode(), "resembles")
    return found


def lint_pattern(kind: str, pattern: str, where: str = "", *, guards: bool = False) -> list[Finding]:
    """The findings about one pattern that `re` accepts. `guards`: it will be guarded, see `mending.guarded`."""
    where = where or kind
    try:
        found = list(_findings(kind, pattern, where, guards))
    except Unjudged as no:
        return [_unjudged(where, pattern, f"{no.what} cannot be judged", no.place)]
    except Searching:
        return [_unjudged(where, pattern, "it is too long to be judged", None)]
    if not found:
        return []
    rewritten = mended(pattern, lambda text: not [*_findings(kind, text, kind, guards)]) or mended(
        pattern, lambda text: not _has_error(_findings(kind, text, kind, guards))
    )
    return [msgspec.structs.replace(finding, rewritten=rewritten) for finding in found]


def _has_error(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _findings(kind: str, pattern: str, where: str, guards: bool) -> Iterator[Finding]:
    slow = slowness(pattern)
    if slow is not None:
        example = show((slow.before + slow.again * 3).decode("latin-1"))
        message = (
            "it may try a line in a number of ways that doubles with each byte"
            if slow.exponential
            else f"it may take a line over again for every place where the repeat at character {slow.first + 1} can end"
        )
        why = f"a client that sends {example!r}... stops the reading of the log"
        remedy = "let no two repeats take the same text, or make them possessive (*+)"
        yield Finding("error", "backtracking", where, message, why, remedy, pattern, slow.second)
    expression = re.compile(pattern.encode())
    if kind in {"login", "connect"} and "address" in expression.groupindex:
        yield from _about_address(pattern, expression, where, guards)


def _about_address(pattern: str, expression: re.Pattern[bytes], where: str, guards: bool) -> Iterator[Finding]:
    said = wording(outline(pattern))
    forged = next(forgeries(pattern, expression), None)
    if forged is not None:
        place = said.catches[0] if said.catches else said.user_at
        message = "it can be read in two ways, with two addresses"
        yield Finding("error", "forgery", where, message, _fooled(forged), _TIGHTER, pattern, place)
        return
    automaton = Automaton(pattern)
    reached = automaton.reached()
    is_open = automaton.tail in reached or any(
        automaton.swallows(state) and automaton.places[state][0] >= said.user_end for state in reached
    )
    if is_open:
        yield _about_end(pattern, expression, where, said, guards)


def _about_end(pattern: str, expression: re.Pattern[bytes], where: str, said: Wording, guards: bool) -> Finding:
    """What an end means that is not said."""
    place = len(pattern)
    if "user" in expression.groupindex and (not said.before_user or said.behind):
        told = f"{said.behind!r} stands" if said.behind else "what tells a login from a failure stands"
        message = f"its end is open, and {told} behind what a client wrote"
        why = "a failed login whose user name holds all of that is taken"
        return Finding("error", "end", where, message, why, _CLOSE, pattern, place)
    found = list(forgeries(pattern, expression, free="user"))
    safe = guarded(pattern) if guards and found else None
    if safe is not None and next(forgeries(safe, re.compile(safe.encode()), free="user"), None) is None:
        message = "its end is open"
        why = f"no message is taken in which {said.before_address!r} comes again, since a name could hold it"
        return Finding("warning", "end", where, message, why, _CLOSE, pattern, place, guarded=True)
    if found:
        message = "its end is open, and a user name may hold what follows it"
        return Finding("error", "end", where, message, _fooled(found[0]), _CLOSE, pattern, place)
    why = "what follows is not looked at, so a failure that begins alike is taken, too"
    return Finding("warning", "end", where, "its end is open", why, _CLOSE, pattern, place)


_CLOSE: Final = "say all of the message and end it in $"
_TIGHTER: Final = "let no part take the character that ends it, and end the pattern in $"


def _fooled(forged: Forgery) -> str:
    message = show(forged.message.decode("latin-1"))
    meant = show(forged.message[forged.meant :].decode("latin-1"))
    return f"of {message!r} it takes the address at character {forged.taken + 1}, where {meant!r} may be meant"


def _unjudged(where: str, pattern: str, message: str, place: int | None) -> Finding:
    why = "nobody can say whether a client can forge what it takes"
    return Finding("warning", "unjudged", where, message, why, "write it with groups and repeats only", pattern, place)
