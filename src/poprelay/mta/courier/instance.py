"""One Courier as it is now: its settings for SMTP, a shell script, and the programs that make its database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from poprelay.errors import MtaError

CONFIGS: Final = tuple(
    map(Path, ("/etc/courier/esmtpd", "/usr/lib/courier/etc/esmtpd", "/usr/local/etc/courier/esmtpd"))
)
PROGRAMS: Final = (
    "/usr/sbin",
    "/usr/lib/courier/sbin",
    "/usr/local/sbin",
    "/usr/lib/courier",
    "/usr/bin",
    "/usr/local/bin",
)
_ASSIGNMENT: Final = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Z_a-z]+)=(\"[^\"\n]*\"|'[^'\n]*'|[^\s#]*)", re.MULTILINE)
_PASSED_OVER: Final = re.compile(r"~\Z|\.dpkg-[a-z]*\Z")
"""Files that makesmtpaccess does not read."""


class Rule(NamedTuple):
    """A line of smtpaccess: whose it is, and whether they may relay."""

    file: Path
    key: str
    relays: bool


class Instance(NamedTuple):
    """What `esmtpd` says of one Courier. Raises MtaError where it says nothing."""

    config: Path
    values: dict[str, str]

    @classmethod
    def read(cls, config: Path) -> Self:
        try:
            text = config.read_text("utf-8", "replace")
        except OSError as error:
            raise MtaError(f"{config}: {error.strerror}", remedy="install Courier, or run it as root") from error
        values = {"sysconfdir": str(config.parent)}
        for name, value in _ASSIGNMENT.findall(text):
            inner = value[1:-1] if value[:1] in ("'", '"') else value
            values[name] = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ""), inner)
        return cls(config, values)

    @property
    def access(self) -> Path:
        """The directory of files, or the one file, from which the database is made."""
        return Path(self.values.get("ACCESSFILE") or self.config.parent / "smtpaccess")

    @property
    def database(self) -> Path:
        return self.access.with_name(f"{self.access.name}.dat")

    def files(self) -> list[Path]:
        if self.access.is_file():
            return [self.access]
        try:
            return sorted(one for one in self.access.iterdir() if one.is_file() and not _PASSED_OVER.search(one.name))
        except FileNotFoundError:
            return []

    def rules(self) -> Iterator[Rule]:
        """What stands in the files. Raises OSError."""
        for file in self.files():
            for line in file.read_text("utf-8", "replace").splitlines():
                key, _, rest = line.partition("\t")
                if key and not key.startswith("#"):
                    yield Rule(file, key, re.match(r"allow\b.*\bRELAYCLIENT\b", rest) is not None)

    def program(self, name: str) -> str:
        found = next((path for folder in PROGRAMS if (path := Path(folder, name)).exists()), None)
        if found is None:
            raise MtaError(f"there is no {name} here", remedy="it belongs to Courier: install it again")
        return str(found)


def config() -> Path | None:
    """Its settings for SMTP, if it is here; courier-imap alone has none."""
    return next((path for path in CONFIGS if path.exists()), None)
