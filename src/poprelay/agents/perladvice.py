"""What is to be said of a Perl expression: why it is forgeable, what would be harder to forge, and whether a line can
keep it busy for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, product
from math import factorial
from typing import Any, Final, NamedTuple

from poprelay.agents.backtracking import slowness
from poprelay.agents.lint import Finding, lint_pattern
from poprelay.agents.outline import Unjudged
from poprelay.agents.patterns import compiled, tree
from poprelay.agents.perlpieces import FLAGS, pieces, refused
from poprelay.errors import AgentError

MOST_TRIES: Final = 10**9
"""Ways to try one line beyond which an expression is refused: it would take half a minute or longer."""

_ALL: Final = frozenset(range(256))
_MANY: Final = 64
_LONGEST_ROW: Final = 120
_PROGRAM: Final = re.compile(
    r"\^?(?:\.[*+]\??)?(?P<name>[A-Za-z](?:[\w/-]|\\[./-])*)(?:\\\[(?:\\d|\.|\[0-9\])[+*]\\\])?\\?: ?(?P<rest>.*)",
    re.DOTALL,
)
_LEADING: Final = re.compile(r"(?:\.[+*]\??)+")
_ADDRESS: Final = r"(?P<address>[0-9a-fA-F.:]+)"
_WORDS: Final = (r"(?:[^ =]+ )*", r"(?:\w+ )?", "")
"""What may stand in the place of a catch-all at the beginning."""
_ENDS: Final = ("", "$", "[^ ]*$")


def remarks(named: str) -> Iterator[str]:
    """Why a client could make a line that this takes for a login of another address."""
    said = list(_rough(named))
    yield from said
    if not said:
        findings = lint_pattern("login", re.sub(r"^(?:\^|\\A)", "", named))
        for finding in findings:
            if finding.severity == "error" and finding.about in {"end", "forgery"}:
                yield f"{finding.message}: {finding.why}"


def _rough(named: str) -> Iterator[str]:
    """What is seen at a glance."""
    if not named.startswith(("^", r"\A")) or any(str(operation) == "BRANCH" for operation, _ in tree(named)):
        yield "it may begin anywhere in a line, so in a user name, a host name, or another program's words too"
    before, _, after = named.partition("(?P<address>")
    if re.search(r"(?<!\\)(?:\\\\)*\.[*+{]", before):
        yield "it has a catch-all before the address, which passes over what a client wrote, a false address included"
    depth, end = 1, 0
    for piece in pieces(after):
        depth += {"(": 1, ")": -1}.get(piece.text[:1], 0)
        end = piece.at + 1
        if not depth:
            break
    if not after[end:]:
        yield "nothing must follow the address, so a host name such as 9.9.9.9.example.net counts as one"


def anchored(named: str) -> tuple[str, str]:
    """The program and a pattern for its messages, as far as they can be told from the expression.

    Of the forms that take what the expression was written for, the first in which the linter finds no error.
    """
    flags = FLAGS.match(named)
    plain = named[flags.end() : -1] if flags is not None and flags[2] == ":" and named.endswith(")") else named
    found = _PROGRAM.fullmatch(plain)
    program, rest = (re.sub(r"\\(.)", r"\1", found["name"]), found["rest"]) if found else ("PROGRAM", plain.lstrip("^"))
    leading = _LEADING.match(rest)
    parts = _narrowed(rest[leading.end() :] if leading else rest)
    text = re.sub(r"\\Z$", "$", "".join(parts))
    ends = _ENDS[:1] if text.endswith("$") else _ENDS[1:] if parts[-1] in {_ADDRESS, "]", ")", r"\)", r"\]"} else ()
    candidates = [
        words + text + end for words, end in product(_WORDS if leading else ("",), ends or tuple(reversed(_ENDS[1:])))
    ]
    if flags is not None and plain != named and flags[1] != "i":  # a server writes in one way
        candidates = [f"(?{flags[1]}:{candidate})" for candidate in candidates]
    return program, next((one for one in candidates if _is_sound(one)), candidates[-1])


def _narrowed(rest: str) -> list[str]:
    """The elements, the groups by their names, and no catch-all: none takes the character that ends it."""
    parts: list[str] = []
    depth = 0
    found = list(pieces(rest.replace("(?P<user>", "(").replace("(?P<address>", "(")))
    for number, piece in enumerate(found):
        if piece.group == 2:
            parts.append(_ADDRESS)
            depth = 1
        elif depth:
            depth += {"(": 1, ")": -1}.get(piece.text[:1], 0)
        elif piece.text == "." and number + 1 < len(found) and found[number + 1].text in {"*", "+"}:
            parts.append(f"[^{_ender(found[number + 2 :])}]")
        else:
            parts.append("(?P<user>" if piece.group == 1 else piece.text)
    return parts


def _ender(behind: list[Any]) -> str:
    """The character that ends a repeat: what stands behind it, or a blank."""
    for piece in behind:
        if piece.text not in {")", "?"}:
            return piece.text if re.fullmatch(r"[^\\\[(.^$*+?{|]|\\[^\w]", piece.text) else " "
    return " "


def _is_sound(pattern: str) -> bool:
    try:
        compiled("mailLogRegExp", "login", pattern)
    except AgentError:
        return False
    findings: list[Finding] = lint_pattern("login", pattern, guards=True)
    return not any(finding.severity == "error" for finding in findings)


def require_quick(prefix: str, text: str, skipped: int, longest: int) -> None:
    """AgentError if a line of `longest` bytes may keep the expression busy for minutes or for ever.

    `prefix` stands before it when it is run; `skipped` characters of it have been left out.
    """
    pattern = prefix + text
    try:
        slow = slowness(pattern)
    except Unjudged:
        slow = None
    if slow is None:
        return
    remedy = "let no two repeats take the same text, or make them possessive (*+)"
    parsed = tree(pattern)
    if slow.exponential and _is_nested(parsed):
        what = "may try a line in a number of ways that doubles with each byte"
        raise refused(skipped + max(0, slow.second - len(prefix)), what, remedy)
    if _tries(_row(parsed), longest) > MOST_TRIES:
        what = "may take a line over again in more ways than can be tried"
        raise refused(skipped + max(0, slow.second - len(prefix)), what, remedy)


def _is_nested(parsed: Any) -> bool:
    """Whether a repeat without an end holds more than one character class."""
    for operation, argument in parsed:
        name = str(operation)
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            _, most, inner = argument
            if most > _MANY and (len(inner) > 1 or str(inner[0][0]) in {"SUBPATTERN", "BRANCH", "MAX_REPEAT"}):
                return True
        if any(_is_nested(inner) for inner in _inside(name, argument)):
            return True
    return False


def _tries(row: Sequence[_Stretch], longest: int) -> float:
    """In how many ways repeats can share a line of that many bytes: those of the worst part of the row.

    They share what stands between them only if each of them can take it.
    """
    most = 0.0
    ends = [at for at, one in enumerate(row) if one.repeats]
    for first, last in combinations_with_replacement(ends, 2):
        part = row[first : last + 1]
        firm = [one for one in part if not one.repeats]
        able = [one for one in part if one.repeats and all(one.members & each.members for each in firm)]
        if part[0] in able and part[-1] in able:
            between = max(1, sum(one.least for one in firm))
            most = max(most, (longest / between) ** len(able) / factorial(len(able)))
    return most


class _Stretch(NamedTuple):
    """One class of a pattern: what it takes, at least how often, and whether without an end."""

    members: frozenset[int]
    least: int
    repeats: bool = False


def _row(parsed: Any) -> list[_Stretch]:
    """The classes of a pattern as they stand one after the other; of alternatives the one with most repeats."""
    row: list[_Stretch] = []
    for operation, argument in parsed:
        name = str(operation)
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            least, most, inner = argument
            of_inner = _row(inner)
            if most > _MANY:
                taken = frozenset[int]().union(*(one.members for one in of_inner))
                row.append(_Stretch(taken, least, repeats=True))
            elif any(one.repeats for one in of_inner):
                row += of_inner * most
            else:
                row += of_inner * least
        elif name in {"SUBPATTERN", "BRANCH", "ATOMIC_GROUP"}:
            worst: list[_Stretch] = max((_row(inner) for inner in _inside(name, argument)), key=_weight)
            row += worst
        elif name in {"LITERAL", "NOT_LITERAL", "ANY", "IN"}:
            row.append(_Stretch(_members(operation, argument), 1))
    return row[:_LONGEST_ROW]


def _weight(row: list[_Stretch]) -> tuple[int, int]:
    return sum(one.repeats for one in row), -len(row)


def _members(operation: Any, argument: Any) -> frozenset[int]:
    """The bytes that a class takes."""
    match str(operation):
        case "LITERAL":
            return frozenset({argument})
        case "NOT_LITERAL":
            return _ALL - {argument}
        case "ANY":
            return _ALL - {10}
        case "RANGE":
            return frozenset(range(argument[0], argument[1] + 1))
        case "CATEGORY":
            letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[str(argument).rpartition("_")[2]]
            expression = re.compile(f"\\{letter.upper() if '_NOT_' in str(argument) else letter}".encode())
            return frozenset(value for value in _ALL if expression.match(bytes([value])))
        case "IN":
            negated = str(argument[0][0]) == "NEGATE"
            found = frozenset[int]().union(*(_members(*one) for one in argument[negated:]))
            return _ALL - found if negated else found
    return _ALL


def _inside(name: str, argument: Any) -> list[Any]:
    """The parts of one element of a parsed expression."""
    if name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        return [argument[2]]
    if name == "SUBPATTERN":
        return [argument[3]]
    if name == "BRANCH":
        return list(argument[1])
    return [argument] if name == "ATOMIC_GROUP" else []
