"""Postfix's lists of restrictions: what stands in them, where our lookup belongs, and what is wrong (postconf(5)).

A list is read from left to right; the first word that permits or rejects ends it. Each list must permit by itself.

>>> [str(word) for word in parse("permit_mynetworks, check_client_access { lmdb:/x, y } reject")]
['permit_mynetworks', 'check_client_access { lmdb:/x, y }', 'reject']
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Final, NamedTuple

LISTS: Final = tuple(
    f"smtpd_{name}_restrictions"
    for name in ("client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn")
)
RELAY: Final = "smtpd_relay_restrictions"
RECIPIENT: Final = "smtpd_recipient_restrictions"

STOPS: Final = frozenset({"reject_unauth_destination", "defer_unauth_destination", "reject", "defer"})
"""What ends a list for those who may not relay."""
LOCAL: Final = "permit_auth_destination"

_TAKES_ONE: Final = re.compile(r"check_\w+|(?:reject|permit)_(?:rbl|rhsbl|dnswl|rhswl)_\w+|sleep")
_BRACED: Final = reduce(lambda inner, _: rf"\{{(?:[^{{}}]|{inner})*\}}", range(4), r"\{[^{}]*\}")
"""Braces may stand within braces: `inline:{a=OK, { b = REJECT no }}`."""
_TOKEN: Final = re.compile(rf"(?:[^\s,{{}}]|{_BRACED})+")
_BETWEEN: Final = re.compile(r"[\s,]+")


class Restriction(NamedTuple):
    """One word of a list, and its argument, if it takes one."""

    name: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.argument}".rstrip()


def parse(text: str) -> list[Restriction]:
    """The restrictions of a list, in their order."""
    found: list[Restriction] = []
    tokens = _TOKEN.findall(text)
    while tokens:
        name = tokens.pop(0)
        found.append(Restriction(name, tokens.pop(0) if _TAKES_ONE.fullmatch(name) and tokens else ""))
    return found


def lossless(text: str) -> bool:
    """Whether nothing of a list is lost when it is read and written again."""
    return _BETWEEN.sub("", text) == _BETWEEN.sub("", written(parse(text)))


def placed(restrictions: Sequence[Restriction], ours: Restriction, *, local: bool) -> list[Restriction] | None:
    """The list with our lookup put in, before what stops the others; None if nothing there stops them.

    With `local`, mail for our own domains is permitted before we are asked, so that it flows while we are down.
    """
    stop = next((number for number, one in enumerate(restrictions) if one.name in STOPS), None)
    if stop is None:
        return None
    before, behind = list(restrictions[:stop]), list(restrictions[stop:])
    if local and LOCAL not in (one.name for one in before):
        before.append(Restriction(LOCAL))
    return [*before, ours, *behind]


def index(restrictions: Sequence[Restriction], is_it: Callable[[Restriction], bool]) -> int:
    """Where the first such restriction stands; the length of the list if there is none."""
    return next((number for number, one in enumerate(restrictions) if is_it(one)), len(restrictions))


def written(restrictions: Sequence[Restriction]) -> str:
    """The list as it is written into main.cf."""
    return ", ".join(map(str, restrictions))
