"""What stands in sendmail.mc so that Sendmail asks us, and what of it a sendmail.cf has.

In a config file (the Sendmail Installation and Operation Guide, "The Whole Scoop on the Configuration File") each line
begins with a letter: `K` a map, `S` the name of a ruleset, whose rules `R` follow, `F` a class that a file fills, `O`
an option. A line that begins with a blank goes on with the one before.

>>> cf = parse("Kpoprelay hash /x/relay\\nSLocal_Relay_Auth\\nR$*\\t$: $(poprelay $1 $)\\nO PidFile=/run/x.pid\\n")
>>> cf.maps, cf.rulesets, cf.options["PidFile"]
({'poprelay': 'hash /x/relay'}, {'Local_Relay_Auth': ['$*\\t$: $(poprelay $1 $)']}, ['/run/x.pid'])
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

NAME: Final = "poprelay"
"""What our map is called there."""
AUTH: Final = "Local_Relay_Auth"
"""The ruleset that may permit to relay."""
DEFER: Final = "Local_check_rcpt"

_MARK: Final = "dnl # poprelay: who has just logged in to POP or IMAP may relay for a while\n"
_PERMIT: Final = f"""\
LOCAL_RULESETS
S{AUTH}
R$*\t\t\t$: $({NAME} $&{{client_addr}} $: NO $)
R$* <POPRELAY>\t\t$# RELAY
"""
_DEFER: Final = f"""\
S{DEFER}
R$*\t\t\t$: $1 $| <$({NAME} $&{{client_addr}} $: NO $)>
R$* $| <$* <TMPF>>\t$: $1 $| $>"Rcpt_ok" $1
R$* $| <$*>\t\t$@ OK
R$* $| RELAY\t\t$@ OK
R$* $| $# $*\t\t$@ OK
R$* $| $*\t\t$: $1 $| $>"Relay_ok" $1
R$* $| RELAY\t\t$@ OK
R$* $| $# $*\t\t$@ OK
R$*\t\t\t$# error $@ 4.3.0 $: "451 Cannot tell whether you may relay, please try again"
"""


class Cf(NamedTuple):
    """A sendmail.cf: its maps by name, rulesets with their rules, classes with what fills them, options."""

    maps: dict[str, str]
    rulesets: dict[str, list[str]]
    files: list[str]
    """What fills the class of domains and hosts that may relay, `FR`."""
    options: dict[str, list[str]]


def parse(text: str) -> Cf:
    """Read a sendmail.cf; what is none yields nothing."""
    cf = Cf({}, {}, [], {})
    rules: list[str] = []
    for line in re.sub(r"\n[ \t]+", " ", text).splitlines():
        rest = line[1:].strip()
        match line[:1]:
            case "K":
                name, _, what = rest.partition(" ")
                cf.maps[name] = what.strip()
            case "S":
                rules = cf.rulesets.setdefault(re.split(r"[=\s]", rest)[0], [])
            case "R":
                rules.append(rest)
            case "F" if rest.startswith("R"):
                cf.files.append(rest[1:])
            case "O":
                name, _, value = rest.partition("=")
                cf.options.setdefault(name.strip(), []).append(value.strip())
    return cf


def lines(kind: str, place: str) -> str:
    """The end of a sendmail.mc that asks a part: `socketmap`, `popauth` or `relay-domains`, at that path."""
    if kind == "relay-domains":
        return f"{_MARK}LOCAL_CONFIG\nFR-o {place} %[^\\#]\n"
    if kind == "popauth":
        return f"{_MARK}LOCAL_CONFIG\nK{NAME} hash -o -T<TMPF> -a<POPRELAY> {place}\n{_PERMIT}"
    return f"{_MARK}LOCAL_CONFIG\nK{NAME} socket -T<TMPF> -a<POPRELAY> {place}\n{_PERMIT}{_DEFER}"


def asked(cf: Cf, place: str) -> str:
    """The name of the map that is at this place: a file, or a socket as `K` names it; empty if there is none."""
    return next((name for name, what in cf.maps.items() if place in what.split()), "")


def rules_that_ask(cf: Cf, name: str) -> list[str]:
    """The rulesets in which this map is looked up."""
    lookup = re.compile(rf"\$\(\s*{re.escape(name)}\s")
    return [ruleset for ruleset, rules in cf.rulesets.items() if any(map(lookup.search, rules))]
