"""qmail: more rules in the database that tcpserver reads for each connection, made by root's part. Why: the qmail page
of the documentation; tcpserver(1), tcprules(1).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from poprelay.errors import MtaError
from poprelay.mta import STATE, Finding, Installed, Part, Plan
from poprelay.mta.qmail import instance
from poprelay.mta.qmail.findings import examine
from poprelay.mta.qmail.instance import Instance
from poprelay.mta.qmail.rules import default, odd, parse

MAP: Final = STATE / "tcp.smtp"
_TIMEOUT: Final = 30.0
_SECTION: Final = """\
[[maps]]
kind = "{kind}"
path = "{map}"
root = "qmail"
"""
_MAKE: Final = 'exec "$1" "$2" "$2.tmp" <"$3"'
_ROOT: Final = """\
[[commands]]
name = "qmail"
[[commands.steps]]
copy = ["{source}", "{map}"]
to = "{source}.poprelay"
[[commands.steps]]
run = ["{tcprules}", "{rules}", "{rules}.tmp"]
stdin = "{source}.poprelay"
"""


class Qmail:
    """The qmail of this host, whose qmail-smtpd runs under tcpserver."""

    name: ClassVar[str] = "qmail"

    def find(self) -> Installed | None:
        found = instance.find()
        return None if found is None else Installed(self.name, "under tcpserver", found.where, ("tcprules",))

    def plan(self, kind: str) -> Plan:
        found = self._instance()
        if found.rules == Path():
            raise MtaError(
                f"{found.where}: tcpserver has no rules", remedy="give it -x /etc/tcp.smtp.cdb, and start it anew"
            )
        source, tcprules = found.source, instance.program("tcprules")
        text = _text(source, found.rules)
        _try(tcprules, text, source)
        everybody = default(parse(text))
        if everybody is not None and everybody.relays:
            raise MtaError(f"{source} is an open relay: {everybody.line}", remedy="take RELAYCLIENT out of that line")
        section = _SECTION.format(kind=kind, map=MAP)
        if everybody is not None and everybody.variables:  # tcpserver takes the most specific rule alone
            rule = f'allow,{everybody.variables},RELAYCLIENT=""'
            section += f"rule = {json.dumps(rule)}\n"
        return Plan(
            section=section,
            kept=(found.rules, source.with_name(f"{source.name}.poprelay")),
            undone=(("/bin/sh", "-c", _MAKE, "make", tcprules, str(found.rules), str(source)),),
            root=_ROOT.format(source=source, map=MAP, tcprules=tcprules, rules=found.rules),
            remarks=(f"root's part makes {found.rules} from {source} and our map; a line of yours goes before ours",),
        )

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        return examine(self._instance(), parts)

    def _instance(self) -> Instance:
        found = instance.find()
        if found is None:
            raise MtaError(
                "no tcpserver with qmail-smtpd is found here", remedy="start it, so that its rules are known"
            )
        return found


def _text(source: Path, rules: Path) -> str:
    try:
        return source.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise MtaError(
            f"{source}: {error.strerror}", remedy=f"call the text of {rules} so: poprelay makes the rules anew from it"
        ) from error


def _try(tcprules: str, text: str, source: Path) -> None:
    """Make rules of our own from the text, to see whether tcprules can. Raises MtaError."""
    for line in odd(text):
        raise MtaError(f"{source}: {line!r} is no rule, and tcprules would never end", remedy="mend that line")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [tcprules, f"{folder}/cdb", f"{folder}/cdb.tmp"],
            input=text.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    if done.returncode:
        raise MtaError(f"{source}: {done.stderr.decode('utf-8', 'replace').strip()}", remedy="mend it; then try again")
