"""How Postfix spells the question to each of our parts, and whether a word of its config is that question."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from poprelay.mta import Part
from poprelay.mta.postfix.restrictions import Restriction

TABLE: Final = "relay"
"""What our map is called in a socketmap question; the service answers to any name."""

FILES: Final = {"lmdb": ".lmdb", "hash": ".db", "cdb": ".cdb", "texthash": "", "cidr": "", "sqlite": ""}
"""Postfix's table types that we have a map for, and what it puts behind the name that it is given."""
SERVICES: Final = ("socketmap", "policy", "tcp_table")
SQLITE: Final = "/etc/postfix/poprelay.cf"
"""Where `setup` says how a database of kind `sqlite` is asked; by proxymap, for one in a jail does not see its log."""
SQLITE_TEXT: Final = """\
# So Postfix asks poprelay's database: sqlite_table(5)
dbpath = {path}
query = SELECT value FROM relay WHERE address = '%s'
"""
_DATABASE: Final = re.compile(r"^dbpath\s*=\s*(\S+)", re.MULTILINE)


def question(part: Part, queue: Path) -> Restriction:
    """What stands in the restrictions so that Postfix asks this part."""
    if part.kind == "policy":
        return Restriction("check_policy_service", _door(part.place, queue))
    return Restriction("check_client_access", table(part, queue))


def table(part: Part, queue: Path) -> str:
    """The table's name: `lmdb:/var/lib/poprelay/relay`, `socketmap:unix:poprelay/socketmap:relay`."""
    match part.kind:
        case "socketmap":
            return f"socketmap:{_door(part.place, queue)}:{TABLE}"
        case "tcp_table":
            return f"tcp:{part.place.removeprefix('inet:')}"
        case "sqlite":
            return f"proxy:sqlite:{SQLITE}"
    return f"{part.kind}:{part.place.removesuffix(FILES.get(part.kind, ''))}"


def asks(text: str, part: Part, queue: Path) -> bool:
    """Whether a word of Postfix's config (a table, or the place of a policy service) means this part."""
    text = text.strip("{} ").split(",")[0].strip().removeprefix("proxy:")
    if part.kind == "sqlite":
        return text.startswith("sqlite:") and _database(Path(text.removeprefix("sqlite:"))) == part.place
    if part.kind in ("socketmap", "policy"):
        if part.kind == "socketmap":
            if not text.startswith("socketmap:"):
                return False
            text = text.removeprefix("socketmap:").rpartition(":")[0]
        return text in spellings(part.place, queue)
    return text == table(part, queue)


def visible_in_jail(text: str, place: str, queue: Path) -> bool:
    """Whether a chrooted smtpd that is told `text` finds the unix socket that listens at `place`."""
    if not place.startswith("unix:"):
        return True
    path = Path(place.removeprefix("unix:"))
    if queue not in path.parents:
        return False
    inside = path.relative_to(queue)
    return f"unix:{path}" not in text or f"unix:{inside}" in text


def spellings(place: str, queue: Path) -> set[str]:
    """Every way to write the place of a socket in main.cf: as it is, and as seen from the queue directory."""
    found = {place}
    if place.startswith("unix:"):
        path = Path(place.removeprefix("unix:"))
        if queue in path.parents:
            inside = path.relative_to(queue)
            found |= {f"unix:{inside}", f"unix:/{inside}"}
    return found


def _door(place: str, queue: Path) -> str:
    """Relative to the queue directory where that is possible: right for smtpd in its jail and out of it."""
    if place.startswith("unix:"):
        path = Path(place.removeprefix("unix:"))
        if queue in path.parents:
            return f"unix:{path.relative_to(queue)}"
    return place


def _database(asked: Path) -> str:
    """The database that such a file names (sqlite_table(5)); '' if it says none."""
    with suppress(OSError, UnicodeDecodeError):
        found = _DATABASE.search(asked.read_text())
        return found[1] if found else ""
    return ""
