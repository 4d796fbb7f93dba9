"""Exim's access control lists: their statements, in a config file as it is written or as `exim -bP config` prints it.

A statement is a verb and its conditions and modifiers, one to a line (the Exim specification, "Access control lists").
The first statement whose conditions all hold decides; a `require` decides where they do not.

>>> [text] = statements(["acl_rcpt:", "  require message = no", "          !domains = +mine"], "acl_rcpt")
>>> text.verb, text.line, text.clauses[1]
('require', 1, Clause(name='domains', value='+mine', negated=True))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_LABEL: Final = re.compile(r"\s*([A-Za-z]\w*)\s*:\s*(?:#.*)?")
_VERB: Final = re.compile(r"\s*(accept|defer|deny|discard|drop|require|warn)\b(?!\s*=)\s*(.*)")
_CLAUSE: Final = re.compile(r"(!?)\s*(\w+(?:\s+acl_\w+)?)\s*(?:=\s*(.*))?")
_SECTION: Final = re.compile(r"\s*begin\s+\w+\s*")

CONDITIONS: Final = frozenset((
    "acl", "authenticated", "condition", "decode", "demime", "dnslists", "domains", "encrypted", "hosts", "local_parts",
    "malware", "mime_regex", "queued", "ratelimit", "recipients", "regex", "sender_domains", "senders", "spam", "spf",
    "spf_guess", "verify",
))  # fmt: skip
"""All that can fail; the rest of what stands in a statement is done, or said."""


class Clause(NamedTuple):
    """One condition or modifier: `!domains = +local_domains`."""

    name: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        return f"{'!' * self.negated}{self.name} = {self.value}"


class Statement(NamedTuple):
    """One statement, and the number of its first line, from 0."""

    verb: str
    clauses: tuple[Clause, ...]
    line: int

    @property
    def conditions(self) -> tuple[Clause, ...]:
        return tuple(clause for clause in self.clauses if clause.name in CONDITIONS)

    def __str__(self) -> str:
        return " ".join((self.verb, *map(str, self.conditions)))


def statements(lines: Sequence[str], acl: str) -> list[Statement]:
    """The statements of one list; none if it is not there. What `.ifdef` leaves out is in, too."""
    found: list[Statement] = []
    for number, line in _logical(lines, *_extent(lines, acl)):
        verb = _VERB.fullmatch(line)
        if verb is not None:
            found.append(Statement(verb[1], (), number))
        clause = _CLAUSE.fullmatch((verb[2] if verb is not None else line).strip())
        if clause is not None and found:
            new = Clause(clause[2], (clause[3] or "").strip(), bool(clause[1]))
            found[-1] = found[-1]._replace(clauses=(*found[-1].clauses, new))
    return found


def end(lines: Sequence[str], acl: str) -> int:
    """The number of the line behind the list's last one that says something."""
    first, last = _extent(lines, acl)
    while last > first and not _says(lines[last - 1]):
        last -= 1
    return last


def above(lines: Sequence[str], number: int) -> int:
    """The number of the first line of the comment right above a line; the line's own if there is none."""
    while number > 0 and lines[number - 1].lstrip().startswith("#"):
        number -= 1
    return number


def _extent(lines: Sequence[str], acl: str) -> tuple[int, int]:
    """Where a list begins, behind its label, and ends."""
    begin = next((number for number, line in enumerate(lines) if _label(line) == acl), len(lines)) + 1
    end_ = next((n for n in range(begin, len(lines)) if _label(lines[n]) or _SECTION.fullmatch(lines[n])), len(lines))
    return min(begin, len(lines)), end_


def _label(line: str) -> str:
    found = _LABEL.fullmatch(line)
    return found[1] if found is not None else ""


def _logical(lines: Sequence[str], first: int, last: int) -> Iterator[tuple[int, str]]:
    """What says something, with the lines that go on put together, and the number of the first."""
    began, text = first, ""
    for number in range(first, last):
        line = lines[number]
        if not _says(line) or (not text and line.lstrip().startswith(".")):  # .ifdef and its kin
            continue
        began, text = (number, line) if not text else (began, text + line.lstrip())
        if text.endswith("\\"):
            text = text[:-1]
            continue
        yield began, text
        text = ""


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
