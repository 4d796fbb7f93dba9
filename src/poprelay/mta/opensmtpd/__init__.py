"""OpenSMTPD: a table from which mail may come, and a rule that lets it out. What stands where, and why: the OpenSMTPD
page of the documentation; smtpd.conf(5), table(5), smtpctl(8).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from poprelay.errors import MtaError
from poprelay.mta import STATE, Edit, Finding, Installed, Part, Plan
from poprelay.mta.opensmtpd.asking import SQLITE, SQLITE_TEXT, table_of
from poprelay.mta.opensmtpd.findings import examine
from poprelay.mta.opensmtpd.placing import TABLE, edited, read_text
from poprelay.mta.opensmtpd.rules import Rules
from poprelay.mta.processes import running
from poprelay.mta.restart import restart

_PROGRAMS: Final = ("/usr/sbin/smtpd", "/usr/local/sbin/smtpd")
_CONFIGS: Final = (
    "/etc/smtpd.conf", "/etc/mail/smtpd.conf", "/etc/smtpd/smtpd.conf", "/etc/opensmtpd/smtpd.conf",
    "/usr/local/etc/mail/smtpd.conf",
)  # fmt: skip
_TABLE_SQLITE: Final = tuple(f"{folder}/opensmtpd/table-sqlite" for folder in (
    "/usr/libexec", "/usr/lib", "/usr/local/libexec", "/usr/lib/x86_64-linux-gnu",
))  # fmt: skip
_SERVICES: Final = ("opensmtpd", "smtpd")
_MAP: Final = STATE / "relay"
_TIMEOUT: Final = 10.0


class Opensmtpd:
    """The OpenSMTPD of this host."""

    name: ClassVar[str] = "opensmtpd"

    def find(self) -> Installed | None:
        program = _program()
        version = re.search(r"OpenSMTPD\s+(\S+)", _ask(program, "-h")) if program else None
        if version is None:
            return None
        kinds = ("opensmtpd", "sqlite") if any(Path(path).exists() for path in _TABLE_SQLITE) else ("opensmtpd",)
        return Installed(self.name, version[1], _config(), kinds)

    def plan(self, kind: str) -> Plan:
        config = _config()
        rules = _read(config)
        path = f"{_MAP}.sqlite" if kind == "sqlite" else str(_MAP)
        part = Part("map", kind, path)
        section = f'[[maps]]\nkind = "{kind}"\npath = "{path}"\n'
        edits: list[Edit] = []
        root = ""
        if kind == "sqlite":
            edits.append(Edit(SQLITE, SQLITE_TEXT.format(path=path).encode()))
        table = table_of(part, rules)
        if kind == "opensmtpd":
            name = table or TABLE
            section += 'root = "opensmtpd"\n' + (f'table = "{name}"\n' if name != TABLE else "")
            root = _ROOT.format(smtpctl=_smtpctl(), table=name)
        if not table or not rules.asking(table):
            edits.append(edited(config, rules, part, table))
        again = restart(_SERVICES, _program())
        how = "it is restarted" if again else f"restart it by hand: no service {' or '.join(_SERVICES)} is known here"
        return Plan(
            section=section,
            edits=tuple(edits),
            check=((_program(), "-n", "-f", str(config)),),
            reload=again,
            root=root,
            remarks=(f"smtpd reads its config only when it starts: {how}",),
        )

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        config = _config()
        began = max((one.began for one in running("smtpd")), default=None)
        return examine(_read(config), config, parts, began)


_ROOT: Final = """\
[[commands]]
name = "opensmtpd"
[[commands.steps]]
run = ["{smtpctl}", "update", "table", "{table}"]
"""


def _read(config: Path) -> Rules:
    return Rules.read(read_text(config), config, lambda name: read_text(Path(name)))


def _config() -> Path:
    return next((Path(path) for path in _CONFIGS if Path(path).exists()), Path(_CONFIGS[0]))


def _program() -> str:
    return next((path for path in _PROGRAMS if Path(path).exists()), "")


def _smtpctl() -> str:
    found = shutil.which("smtpctl", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MtaError("there is no smtpctl here", remedy="it belongs to OpenSMTPD: install it again")
    return found


def _ask(program: str, *words: str) -> str:
    try:
        done = subprocess.run([program, *words], capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).decode("utf-8", "replace")
