"""One Postfix as it is now: where it lies, what it is told, which of its smtpd processes are in a jail."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam
from typing import Final, Self

import msgspec

from poprelay.errors import MtaError
from poprelay.mta.postfix import postconf
from poprelay.mta.postfix.restrictions import LISTS

_ASKED: Final = (
    "mail_version", "config_directory", "queue_directory", "mail_owner", "mynetworks", "proxy_read_maps",
    "multi_instance_directories", *LISTS,
)  # fmt: skip


_QUEUE: Final = Path("/var/spool/postfix")
"""Where our unit may make sockets."""


class Smtpd(msgspec.Struct, frozen=True):
    """One line of master.cf that runs smtpd: its name (`smtp/inet`), its jail, and its own settings."""

    name: str
    chrooted: bool
    overrides: dict[str, str]


class Instance(msgspec.Struct, frozen=True):
    """What postconf says of one Postfix. Raises MtaError where it says nothing."""

    postconf: str
    where: tuple[str, ...]
    values: dict[str, str]
    """Parameters, with what they refer to put in."""
    types: frozenset[str]
    """The types of tables that it can look up."""
    smtpds: tuple[Smtpd, ...]

    @classmethod
    def read(cls, program: str, where: Sequence[str]) -> Self:
        if not program:
            raise MtaError("there is no postconf here", remedy="install Postfix, or name another MTA")
        values = postconf.values(program, [*where, *_ASKED])
        types = postconf.ask(program, *where, "-m").split()
        services = postconf.ask(program, *where, "-M").splitlines()
        overrides = _overrides(postconf.ask(program, *where, "-P").splitlines())
        smtpds = tuple(
            Smtpd(name, columns[4] == "y", overrides.get(name, {}))
            for columns in map(str.split, services)
            if len(columns) > 7 and columns[1] in ("inet", "pass") and columns[7] in ("smtpd", "postscreen")
            for name in (f"{columns[0]}/{columns[1]}",)
        )
        return cls(program, tuple(where), values, frozenset(types), smtpds)

    @property
    def version(self) -> str:
        return self.values["mail_version"]

    @property
    def main(self) -> Path:
        return Path(self.values["config_directory"]) / "main.cf"

    @property
    def queue(self) -> Path:
        return Path(self.values["queue_directory"])

    @property
    def chrooted(self) -> bool:
        return any(one.chrooted for one in self.smtpds)

    @property
    def group(self) -> str:
        """The group of the account that smtpd runs as."""
        owner = self.values["mail_owner"]
        try:
            return getgrgid(getpwnam(owner).pw_gid).gr_name
        except KeyError:
            raise MtaError(f"{self.main}: mail_owner: this host has no user {owner!r}") from None

    @property
    def command(self) -> tuple[str, ...]:
        """postconf, for this instance."""
        return ("postconf", *self.where)

    def written(self, name: str) -> str:
        """A parameter as main.cf has it, with its `$names`."""
        return postconf.values(self.postconf, [*self.where, name], expanded=False)[name]

    def remarks(self) -> list[str]:
        """What an operator should know before anything is changed here."""
        found: list[str] = []
        others = self.values["multi_instance_directories"]
        if others and not self.where:
            found.append(f"only {self.main.parent} is set up; for another instance: --mta-config DIR ({others})")
        if self.queue != _QUEUE:
            ours = self.queue / "poprelay"
            found.append(f"poprelay's unit must be let write there: systemctl edit poprelay: ReadWritePaths=-{ours}")
        return found

    def program(self, name: str) -> tuple[str, ...]:
        """Another of its programs."""
        return (str(Path(self.postconf).with_name(name)), *self.where)

    def running(self) -> bool:
        words = [*self.program("postfix"), "status"]
        try:
            return subprocess.run(words, capture_output=True, timeout=postconf.TIMEOUT, check=False).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


def _overrides(lines: Sequence[str]) -> dict[str, dict[str, str]]:
    """What `postconf -P` says: `smtp/inet/smtpd_relay_restrictions = ...`."""
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        path, _, value = line.partition("=")
        service, _, parameter = path.strip().rpartition("/")
        found.setdefault(service, {})[parameter] = value.strip()
    return found
