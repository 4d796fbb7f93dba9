"""Courier: a file more in its smtpaccess directory, and makesmtpaccess after each change, both by root's part. Why: the
Courier page of the documentation; makesmtpaccess(8), couriertcpd(8).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from poprelay.errors import MtaError
from poprelay.mta import STATE, Finding, Installed, Part, Plan
from poprelay.mta.apply import run
from poprelay.mta.courier.findings import examine
from poprelay.mta.courier.instance import CONFIGS, Instance, config

MAP: Final = STATE / "poprelay"
"""Called as its copy in the directory: the map leaves out what the other files there say, and knows its own by that."""
_USUAL: Final = Path("/etc/courier/smtpaccess")
_TIMEOUT: Final = 30.0


class Courier:
    """The Courier of this host."""

    name: ClassVar[str] = "courier"

    def find(self) -> Installed | None:
        found = config()
        if found is None:
            return None
        asked = subprocess.run(
            [Instance.read(found).program("courier"), "--version"], capture_output=True, timeout=_TIMEOUT, check=False
        )
        version = re.search(rb"Courier (\S+)", asked.stdout)
        return Installed(self.name, version[1].decode() if version else "", found, ("courier",))

    def plan(self, kind: str) -> Plan:
        instance = self._instance()
        access, makedat, couriertcpd = instance.access, instance.program("makedat"), instance.program("couriertcpd")
        _try(instance, makedat)
        restart = (couriertcpd, f"-pid={instance.values.get('PIDFILE', '')}", "-restart")
        if access.is_dir():
            copy, to = [str(MAP)], access / MAP.name
            commands: list[Sequence[str]] = [[instance.program("makesmtpaccess")]]
        else:  # one file, which is a person's: what it says comes first
            copy, to = [str(access), str(MAP)], access.with_name(f"{access.name}.poprelay")
            commands = [_makedat(makedat, to, access), restart]
        section = f'[[maps]]\nkind = "{kind}"\npath = "{MAP}"\nroot = "courier"\n'
        if access != _USUAL:
            section += f'smtpaccess = "{access}"\n'
        return Plan(
            section=section,
            kept=(to, instance.database),
            undone=((instance.program("makesmtpaccess"),),),
            root=_root(copy, to, commands),
            remarks=(f"root's part writes {to}, and makes {instance.database} from all that stands there",),
        )

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        return examine(self._instance(), parts)

    def _instance(self) -> Instance:
        return Instance.read(config() or CONFIGS[0])


def _root(copy: Sequence[str], to: Path, commands: Sequence[Sequence[str]]) -> str:
    steps = "".join(f"[[commands.steps]]\nrun = [{_quoted(words)}]\n" for words in commands)
    return (
        '[[commands]]\nname = "courier"\nevery = "2s"\n'
        f'[[commands.steps]]\ncopy = [{_quoted(copy)}]\nto = "{to}"\n{steps}'
    )


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _makedat(program: str, source: Path, access: Path) -> list[str]:
    return [program, f"-src={source}", f"-file={access}.dat", f"-tmp={access}.tmp", "-cidr"]


def _try(instance: Instance, makedat: str) -> None:
    """Make a database of our own from what stands there, to see whether Courier can. Raises MtaError."""
    if not instance.access.exists():
        raise MtaError(f"there is no {instance.access}", remedy=f"make the directory, and see {instance.config}")
    with tempfile.TemporaryDirectory() as folder:
        run([_makedat(makedat, instance.access, Path(folder, "tried"))])
