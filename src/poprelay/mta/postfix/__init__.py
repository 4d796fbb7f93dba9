"""Postfix: a lookup in `smtpd_relay_restrictions`, behind `permit_auth_destination`. What stands where, and why: the
Postfix page of the documentation; postconf(5), access(5), socketmap_table(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

from poprelay.mta import Finding, Installed, Part, Plan
from poprelay.mta.postfix import planning, postconf
from poprelay.mta.postfix.findings import examine
from poprelay.mta.postfix.instance import Instance

_TYPES: Final = {"policy": "", "tcp_table": "tcp"}
"""What Postfix calls the table of a kind, where that is not the kind's own name; the policy service needs none."""


class Postfix:
    """The Postfix of this host, or one of its instances (postmulti(1))."""

    name: ClassVar[str] = "postfix"

    def __init__(self, config_directory: Path | None = None) -> None:
        self._where = () if config_directory is None else ("-c", str(config_directory))

    @classmethod
    def at(cls, config: Path) -> Self:
        """The instance with that `config_directory`, or main.cf."""
        return cls(config.parent if config.name == "main.cf" else config)

    def find(self) -> Installed | None:
        program = postconf.find()
        if not program:
            return None
        instance = Instance.read(program, self._where)
        kinds = tuple(kind for kind in planning.KINDS if _TYPES.get(kind, kind) in {*instance.types, ""})
        return Installed(self.name, instance.version, instance.main, kinds, instance.chrooted)

    def plan(self, kind: str) -> Plan:
        return planning.plan(self._instance(), kind)

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        return examine(self._instance(), parts)

    def _instance(self) -> Instance:
        return Instance.read(postconf.find(), self._where)
