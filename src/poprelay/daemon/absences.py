"""What a config names and this host does not have now: a log, or the directory of a map or a socket.

Not a doubt about the config: each may be there a moment later, and `status` tells of those that a daemon misses.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poprelay.config.listen import is_pattern, parse_listen
from poprelay.config.load import Document
from poprelay.config.problem import Problem
from poprelay.daemon import units
from poprelay.daemon.kinds import BUILTIN
from poprelay.daemon.setup.starting import USER

if TYPE_CHECKING:
    from poprelay.daemon.configure import Config, Configured

_UNITS_OWN: Final = (Path("/var/lib/poprelay"), Path("/run/poprelay"))
"""What systemd makes when it starts our unit."""


def absences(document: Document, config: Config) -> list[str]:
    """Each as a sentence with its place, in the order of the file."""
    found = [*_logs(config), *_directories(config)]
    return [document.sentence(each) for each in sorted(found, key=lambda each: document.place(each.path))]


def _logs(config: Config) -> Iterator[Problem]:
    for part in config.sources:
        path = str(part.spec.get("path", ""))
        if part.kind == "file" and not is_pattern(path) and _is_absent(Path(path)):
            remedy = 'name the log that the POP/IMAP server writes, or use kind = "journal"'
            yield Problem(("sources", part.number, "path"), f"there is no {path}, so no login is seen", remedy)


def _directories(config: Config) -> Iterator[Problem]:
    for part in (*config.maps, *config.services):
        key = "path" if part.role == "map" else "listen"
        path = _place(part, str(part.spec.get(key, "")))
        if path is None or (path.parent in _UNITS_OWN and units.known(units.DAEMON[0])):
            continue
        if _is_absent(path.parent):
            what = f"there is no directory {path.parent}, and the daemon makes none"
            remedy = f"correct the path, or: install -d -o {USER} {path.parent}"
            yield Problem((f"{part.role}s", part.number, key), what, remedy)


def _place(part: Configured, text: str) -> Path | None:
    """Where a map or a socket lies; None for a port, and for a kind that is not ours."""
    if part.kind not in BUILTIN[part.role]:
        return None
    if part.role == "map":
        return Path(text)
    listen = parse_listen(text)
    return listen.unix if listen is not None else None


def _is_absent(path: Path) -> bool:
    """False where it cannot be told."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
