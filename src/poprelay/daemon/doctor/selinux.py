"""SELinux, where it enforces: what it has denied an MTA of ours, and labels that an MTA may not read.

/sys/fs/selinux/enforce             1: it enforces
security.selinux of a file          user:role:type:level
/var/log/audit/audit.log            type=AVC ... denied  { read } ... comm="smtpd" name="relay.lmdb" ...
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from poprelay.mta import Finding, Part

_READABLE: Final = re.compile(r"etc_t|usr_t|public_content_t|(?:postfix|exim|sendmail|etc_mail|qmail|courier|mail)_\w+")
"""Types that every MTA's domain may read, or its own."""
_DENIED: Final = re.compile(r"\bdenied\b.* comm=\"(?:smtpd|proxymap|exim|exim4|sendmail|courier\w*|tcpserver)\"")
_TAIL: Final = 4 * 1024 * 1024
_MODULE: Final = "ausearch -m avc -ts today | audit2allow -M poprelay && semodule -i poprelay.pp"


def _label(path: Path) -> str:
    with suppress(OSError):
        return os.getxattr(path, "security.selinux").rstrip(b"\0").decode("ascii", "replace")
    return ""


class System(NamedTuple):
    """Where it is read; tests put their own here."""

    enforce: Path = Path("/sys/fs/selinux/enforce")
    audit: Path = Path("/var/log/audit/audit.log")
    label: Callable[[Path], str] = _label


def faults(parts: Sequence[Part], system: System | None = None) -> Iterator[Finding]:
    """For each map and service, what keeps an MTA from it; nothing where SELinux does not enforce."""
    system = system or System()
    try:
        if system.enforce.read_text().strip() != "1":
            return
    except OSError:
        return
    denials = [line for line in _tail(system.audit).splitlines() if _DENIED.search(line)]
    for part in parts:
        place = part.place.removeprefix("unix:")
        mark = f"dest={place.rpartition(':')[2]} " if place.startswith("inet:") else Path(place).name
        denial = next((line for line in denials if _names(line, mark)), "")
        if denial:
            yield Finding("fault", part.kind, f"SELinux keeps the MTA from {part.place}", _cut(denial), _mend(part))
        elif part.role == "map" and (kind := _type(system.label(Path(place)))) and not _READABLE.fullmatch(kind):
            what = f"{place} has the SELinux type {kind}, which the MTA may not be let read"
            yield Finding("note", part.kind, what, "then its lookups fail", _mend(part))


def _names(line: str, mark: str) -> bool:
    return (
        mark in line
        if mark.startswith("dest=")
        else bool(re.search(rf'(?:name|path)="(?:[^"]*/)?{re.escape(mark)}"', line))
    )


def _mend(part: Part) -> str:
    if part.role == "service":
        return _MODULE
    path = Path(part.place)  # what is made anew beside it takes its directory's type
    return f"semanage fcontext -a -t etc_t '{path.parent}(/{path.stem}.*)?' && restorecon -v {path.parent} {path}*"


def _type(label: str) -> str:
    return label.split(":")[2] if label.count(":") >= 2 else ""


def _cut(denial: str) -> str:
    return "its audit log says: " + denial[denial.index("denied") :][:200]


def _tail(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read(_TAIL).decode("utf-8", "replace")
    return ""
