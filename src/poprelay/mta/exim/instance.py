"""One Exim as it is now: its program, its config as it reads it, and the files from which that is made."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam, getpwuid
from typing import Final, Self

import msgspec

from poprelay.errors import MtaError
from poprelay.mta.exim.acl import Statement, statements
from poprelay.mta.exim.session import Session, session

PROGRAMS: Final = ("exim4", "exim", "/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim", "/usr/exim/bin/exim")
TIMEOUT: Final = 30.0

DEBIAN: Final = Path("/etc/exim4")
"""Where Debian has the files from which update-exim4.conf makes the config."""
UPDATE: Final = "/usr/sbin/update-exim4.conf"
_PART: Final = re.compile(r"[\w-]+")
_SPLIT: Final = re.compile(r"^\s*dc_use_split_config=['\"]?true", re.MULTILINE | re.IGNORECASE)


class Instance(msgspec.Struct, frozen=True):
    """What Exim says of itself. Raises MtaError where it says nothing, as with a config that is broken."""

    program: str
    version: str
    lookups: frozenset[str]
    config: Path
    """The file that it reads."""
    text: str
    """All that it has read there, without comments, macros put in."""
    values: dict[str, str]

    @classmethod
    def read(cls, program: str = "") -> Self:
        program = program or find()
        if not program:
            raise MtaError("there is no exim here", remedy="install Exim, or name another MTA")
        said = ask(program, "-bV")
        version = re.search(r"Exim version (\S+)", said)
        lookups = re.search(r"^Lookups[^:]*: (.*)$", said, re.MULTILINE)
        asked = ("acl_smtp_rcpt", "exim_user", "pid_file_path", "local_interfaces")
        values = dict(line.partition(" = ")[::2] for line in ask(program, "-bP", *asked).splitlines())
        return cls(
            program,
            version[1] if version else "",
            frozenset(lookups[1].split() if lookups else ()),
            Path(ask(program, "-bP", "configure_file").strip()),
            ask(program, "-bP", "config"),
            {name.strip(): value.strip() for name, value in values.items()},
        )

    @property
    def acl(self) -> str:
        """The list for RCPT."""
        name = self.values.get("acl_smtp_rcpt", "")
        if not re.fullmatch(r"\w+", name):
            raise MtaError(
                f"{self.config}: acl_smtp_rcpt {f'is {name!r}, not the name of a list' if name else 'is not set'}",
                remedy="name a list of the ACL section there; setup and doctor can read such a one only",
            )
        return name

    @property
    def statements(self) -> list[Statement]:
        """That list, as Exim reads it."""
        return statements(self.text.splitlines(), self.acl)

    @property
    def generated(self) -> bool:
        """Whether Debian's update-exim4.conf makes the config."""
        return self.config.parent == Path("/var/lib/exim4")

    @property
    def group(self) -> str:
        """The group of the account that it runs as."""
        user = self.values.get("exim_user", "")
        try:
            return getgrgid((getpwuid(int(user)) if user.isdecimal() else getpwnam(user)).pw_gid).gr_name
        except KeyError:
            raise MtaError(f"{self.config}: exim_user: this host has no user {user!r}") from None

    @property
    def pid_file(self) -> Path:
        return Path(self.values.get("pid_file_path") or "/run/exim.pid")

    def session(self, helo: str = "client.example.com") -> Session:
        """What a stranger is told at RCPT."""
        return session(self.program, self.acl, helo=helo)

    def source(self) -> Path:
        """The file to edit, in which the list for RCPT stands."""
        for path in self._sources() if self.generated else (self.config,):
            try:
                if statements(path.read_text("utf-8", "surrogateescape").splitlines(), self.acl):
                    return path
            except OSError as error:
                raise MtaError(f"{path}: {error.strerror}", remedy="run it as root") from error
        raise MtaError(
            f"the list {self.acl} is not in {self.config}, but in a file that is included",
            remedy="write the lines there by hand; they are in the source: docs/mta/exim.md",
        )

    def _sources(self) -> Iterator[Path]:
        """What update-exim4.conf reads, as far as lists stand there."""
        chosen = DEBIAN / "update-exim4.conf.conf"
        if not _SPLIT.search(chosen.read_text("utf-8", "surrogateescape")):
            yield DEBIAN / "exim4.conf.template"
            return
        for path in sorted((DEBIAN / "conf.d/acl").iterdir()):
            if _PART.fullmatch(path.name):
                instead = path.with_name(f"{path.name}.rul")
                yield instead if instead.is_file() else path


def find() -> str:
    """Exim's program; empty if there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), "")


def ask(program: str, *words: str) -> str:
    """What it prints. Raises MtaError with what it complains about."""
    try:
        done = subprocess.run([program, *words], capture_output=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MtaError(f"{program} {' '.join(words)}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MtaError(re.sub(r"[^ -~]", "?", said[-1])[:300] if said else f"{program} {' '.join(words)} failed")
    return done.stdout.decode("utf-8", "replace")
