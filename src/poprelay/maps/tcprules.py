"""The rules of tcpserver, for qmail: a text file, and the cdb that `tcprules` makes from it after each change.

    tcpserver -x /etc/tcp.smtp.cdb … qmail-smtpd        192.0.2.7:allow,RELAYCLIENT=""

`path` is the text (`/etc/tcp.smtp`), what tcpserver reads is beside it and called so with `.cdb` behind. It opens that
for each connection; one that is open sees no change. While it is missing or empty, tcpserver drops every connection: so
it is made under another name, looked at, and renamed; and made again if somebody has removed it.

tcpserver takes the most specific rule alone, so ours hides the variables of a person's rule about a network or about
all: repeat them in `rule`. Where a person's rule names the very address, that holds, and ours is left out.

How tcpserver spells an address depends on its build: one with IPv6 calls an IPv4 client ::ffff:192.0.2.7 (under -6),
and shortens a single group of zeros too (2001:db8::1:2:3:4:7). Both spellings are written. What ends in `::` is none:
tcpserver would take that for a whole network.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poprelay.maps import constantdb
from poprelay.maps.lines import TCPRULES, Form
from poprelay.maps.made import Made
from poprelay.maps.text import TextMap
from poprelay.maps.uptake import TIMEOUT, read_uptake

if TYPE_CHECKING:
    from poprelay.config.section import Section

RULE: Final = 'allow,RELAYCLIENT=""'
_ALLOWING: Final = re.compile(r"allow(?:,[A-Za-z_][A-Za-z0-9_]*=([^A-Za-z0-9\s])[ -~]*?\1)+")
_ABOUT: Final = re.compile(rb"^([^#\s].*?):(?:allow|deny)", re.MULTILINE)


class TcprulesMap:
    """Makes the text map with tcpserver's rules, and the cdb after each change."""

    @staticmethod
    def from_section(section: Section) -> TextMap:
        path = section.file("path")
        rule = section.text("rule", RULE)
        wrong = flaw(rule) if rule else ""
        if wrong:
            section.refuse("rule", wrong, f"write '{RULE}', and further variables in the same way")
        program = section.text("tcprules", "tcprules")
        uptake = read_uptake(section, several=False)
        interval = section.duration("interval", 1.0, low=0.0, high=3600.0)
        timeout = section.duration("command_timeout", TIMEOUT, low=1.0, high=3600.0)
        made = Made(program, ("{}", "{}.tmp"), ".cdb", timeout, constantdb.check)
        form = Form("", f":{RULE if wrong else rule}", TCPRULES)
        return TextMap(path, interval=interval, kind="tcprules", form=form, uptake=uptake or made, taken=_taken)


def flaw(rule: str) -> str:
    """What is wrong with the instructions of a rule (tcprules(1)), or '' if nothing is.

    >>> flaw('allow,RELAYCLIENT=""'), flaw('allow,RELAYCLIENT="",RBLSMTPD=""')
    ('', '')
    >>> flaw("allow")
    "'allow' does not set RELAYCLIENT, so nobody may relay by it"
    """
    if rule != "allow" and not _ALLOWING.fullmatch(rule):
        return f"{rule!r} is no rule of tcprules"
    if ",RELAYCLIENT=" not in rule:
        return f"{rule!r} does not set RELAYCLIENT, so nobody may relay by it"
    return ""


def _taken(_file: Path, above: bytes) -> set[str]:
    """The addresses, and whatever else stands before the instructions, in the lines above."""
    return {found.decode("utf-8", "surrogateescape") for found in _ABOUT.findall(above.lower())}
