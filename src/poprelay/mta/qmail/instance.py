"""tcpserver in front of qmail-smtpd as it is now: the one that runs, or what a run script says.

>>> text = "exec softlimit -m 9 tcpserver -vR -x /etc/tcp.smtp.cdb \\\\\\n  0 smtp /var/qmail/bin/qmail-smtpd"
>>> found = read_script(text, Path("run"))
>>> str(found.rules), found.port, found.tolerates
('/etc/tcp.smtp.cdb', 'smtp', False)
"""

from __future__ import annotations

import getopt
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from poprelay.errors import MtaError
from poprelay.mta.processes import running

SCRIPTS: Final = tuple(map(Path, (
    "/service/qmail-smtpd/run", "/etc/service/qmail-smtpd/run", "/var/service/qmail-smtpd/run",
    "/var/qmail/supervise/qmail-smtpd/run", "/etc/sv/qmail-smtpd/run", "/service/smtpd/run",
    "/etc/init.d/qmail", "/var/qmail/rc",
)))  # fmt: skip
_OPTIONS: Final = "dDvqQhHrRUXx:t:u:g:l:b:B:c:pPoO1S46I:"
_SMTPD: Final = "qmail-smtpd"


class Instance(NamedTuple):
    """One tcpserver that runs qmail-smtpd: where it is begun, the rules that it reads ('.' if none), its port."""

    where: Path
    rules: Path
    port: str
    tolerates: bool
    """Whether it lets everybody in while there are no rules (-X)."""
    environment: frozenset[str] = frozenset()
    """What its run script sets for every client."""

    @property
    def source(self) -> Path:
        """The text from which the rules are made, by its usual name."""
        return self.rules.with_suffix("")


def find() -> Instance | None:
    """The one that takes mail from clients, or None. What runs is believed before what a script says."""
    scripts = [found for path in SCRIPTS if (found := _script(path)) is not None]
    alive = list(_alive())
    for one in alive:
        script = next((each for each in scripts if each.port == one.port), None)
        if script is not None:
            scripts = [one._replace(where=script.where, environment=script.environment), *scripts]
        else:
            scripts = [one, *scripts]
    return next((one for one in scripts if one.port in ("smtp", "25")), scripts[0] if scripts else None)


def read_script(text: str, where: Path) -> Instance | None:
    """What a run script says; None if it begins no qmail-smtpd under tcpserver."""
    for line in text.replace("\\\n", " ").splitlines():
        if "tcpserver" in line and _SMTPD in line and not line.lstrip().startswith("#"):
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue
            begin = next((number for number, word in enumerate(words) if Path(word).name == "tcpserver"), None)
            if begin is not None:
                found = _read(words[begin:], where)
                names = frozenset(re.findall(r"(?:^|[\s;])(?:export\s+)?([A-Z_]+)=", text, re.MULTILINE))
                return found and found._replace(environment=names)
    return None


def program(name: str) -> str:
    """tcprules, or one of its siblings."""
    found = shutil.which(name, path="/usr/local/bin:/usr/bin:/command:/var/qmail/bin:/bin")
    if found is None:
        raise MtaError(f"there is no {name} here", remedy="install ucspi-tcp")
    return found


def _alive() -> Iterator[Instance]:
    for process in running("tcpserver"):
        if any(_SMTPD in word for word in process.words):
            found = _read(process.words, Path(f"/proc/{process.pid}/cmdline"))
            if found is not None:
                yield found


def _script(path: Path) -> Instance | None:
    try:
        return read_script(path.read_text("utf-8", "replace"), path)
    except OSError:
        return None


def _read(words: Sequence[str], where: Path) -> Instance | None:
    try:
        options, rest = getopt.getopt(list(words[1:]), _OPTIONS)
    except getopt.GetoptError:
        return None
    named = dict(options)
    port = rest[1] if len(rest) > 1 else ""
    rules = named.get("-x", "")
    return Instance(where, Path(rules if rules.startswith("/") else "."), port, "-X" in named)
