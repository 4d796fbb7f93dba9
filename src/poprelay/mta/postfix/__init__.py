"""Postfix: a lookup in `smtpd_relay_restrictions`, behind `permit_auth_destination`. What stands where, and why: the
Postfix page of the documentation; postconf(5), access(5), socketmap_table(5).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from poprelay.errors import MtaError
from poprelay.mta import Edit, Finding, Folder, Installed, Part, Plan
from poprelay.mta.postfix import postconf
from poprelay.mta.postfix.asking import FILES, asks, question
from poprelay.mta.postfix.findings import examine
from poprelay.mta.postfix.instance import Instance
from poprelay.mta.postfix.restrictions import RECIPIENT, RELAY, parse, placed, written

_STATE: Final = Path("/var/lib/poprelay")
_KINDS: Final = ("socketmap", "lmdb", "policy", "hash", "cdb", "sqlite", "cidr", "texthash", "tcp_table")
_TYPES: Final = {"policy": "", "tcp_table": "tcp"}
"""What Postfix calls the table of a kind, where that is not the kind's own name; the policy service needs none."""


class Postfix:
    """The Postfix of this host, or the instance in `config_directory` (postmulti(1))."""

    name: ClassVar[str] = "postfix"

    def __init__(self, config_directory: Path | None = None) -> None:
        self._where = () if config_directory is None else ("-c", str(config_directory))

    def find(self) -> Installed | None:
        program = postconf.find()
        if not program:
            return None
        instance = Instance.read(program, self._where)
        kinds = tuple(kind for kind in _KINDS if _TYPES.get(kind, kind) in {*instance.types, ""})
        return Installed(self.name, instance.version, instance.main, kinds, instance.chrooted)

    def plan(self, kind: str) -> Plan:
        instance = self._instance()
        part, section, folders = _part(kind, instance)
        ours = question(part, instance.queue)
        remarks: list[str] = []
        wanted: dict[str, str] = {}
        for name in (RELAY, RECIPIENT):
            restrictions = parse(instance.values[name])
            if not restrictions or any(asks(one.argument, part, instance.queue) for one in restrictions):
                continue
            alone = name == RELAY or not parse(instance.values[RELAY])
            new = placed(restrictions, ours, local=alone)
            if new is not None:
                wanted[name] = written(new)
                if not alone:
                    remarks.append(
                        f"{name} rejects strangers too, so it must ask as well, even for mail to your own domains, and "
                        f"that waits while poprelay is down; {RELAY} has reject_unauth_destination, so it needs none"
                    )
            elif name == RELAY:
                raise MtaError(
                    f"{instance.main}: {name} does not end with reject_unauth_destination: {written(restrictions)}",
                    remedy="add it, so that nobody relays who must not; then run setup again",
                )
        if not parse(instance.values[RELAY]) and not parse(instance.values[RECIPIENT]):
            raise MtaError(f"{instance.main}: neither {RELAY} nor {RECIPIENT} is set", remedy=f"set {RELAY}")
        return Plan(
            section=section,
            edits=(_edited(instance, wanted),) if wanted else (),
            folders=folders,
            check=((*instance.program("postfix"), "check"),),
            reload=((*instance.program("postfix"), "reload"),) if instance.running() else (),
            remarks=tuple(remarks),
        )

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        return examine(self._instance(), parts)

    def _instance(self) -> Instance:
        return Instance.read(postconf.find(), self._where)


def _part(kind: str, instance: Instance) -> tuple[Part, str, tuple[Folder, ...]]:
    """What of ours Postfix is to ask, its section in our config, and the folder that it needs."""
    if kind in ("socketmap", "policy"):
        folder = instance.queue / "poprelay"
        place = f"unix:{folder / kind}"
        section = f'[[services]]\nkind = "{kind}"\nlisten = "{place}"\n'
        return Part("service", kind, place), section, (Folder(folder, "poprelay", instance.group, 0o2750),)
    if kind == "tcp_table":
        place = "inet:127.0.0.1:10028"
        return Part("service", kind, place), f'[[services]]\nkind = "{kind}"\nlisten = "{place}"\n', ()
    path = f"{_STATE / 'relay'}{FILES[kind]}"
    return Part("map", kind, path), f'[[maps]]\nkind = "{kind}"\npath = "{path}"\n', ()


def _edited(instance: Instance, wanted: dict[str, str]) -> Edit:
    """main.cf as `postconf -e` leaves it, tried on a copy."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in ("main.cf", "master.cf", "dynamicmaps.cf"):
            if (instance.main.parent / name).exists():
                shutil.copy2(instance.main.parent / name, copy / name)
        postconf.ask(instance.postconf, "-c", directory, "-e", *(f"{name} = {value}" for name, value in wanted.items()))
        return Edit(instance.main, (copy / "main.cf").read_bytes())
