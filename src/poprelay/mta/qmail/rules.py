"""The text of tcpserver's rules, tcprules(1): whose each is, and what it sets.

>>> rules = parse('127.:allow,RELAYCLIENT=""\\n# x\\n:allow,QMAILQUEUE="/scan"\\n')
>>> [(rule.key, rule.relays) for rule in rules], default(rules).variables
([('127.', True), ('', False)], 'QMAILQUEUE="/scan"')
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_RULE = re.compile(r"(?P<key>.*?):(?P<what>allow|deny)(?P<rest>.*)")


class Rule(NamedTuple):
    """One line: whose it is ('' is everybody else), and what it sets for them."""

    key: str
    variables: str
    relays: bool
    line: str


def parse(text: str) -> list[Rule]:
    found: list[Rule] = []
    for line in text.splitlines():
        rule = _RULE.fullmatch(line.rstrip()) if not line.startswith("#") else None
        if rule is not None:
            variables = rule["rest"].lstrip(",")
            relays = rule["what"] == "allow" and re.search(r"(?:^|,)RELAYCLIENT=", variables) is not None
            found.append(Rule(rule["key"], variables if rule["what"] == "allow" else "", relays, line))
    return found


def odd(text: str) -> list[str]:
    """The lines that are no rules. On one of these tcprules never ends.

    >>> odd("# x\\n\\n127.:allow\\n127.:alow\\n:deny\\n \\n")
    ['127.:alow', ' ']
    """
    lines = (line for line in text.split("\n") if line and not line.startswith("#"))
    return [line for line in lines if _RULE.fullmatch(line) is None]


def default(rules: Iterable[Rule]) -> Rule | None:
    """The rule for everybody of whom no other speaks."""
    return next((rule for rule in rules if rule.key == ""), None)
