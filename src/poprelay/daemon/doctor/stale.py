"""Maps that differ from the ledger: as the daemon says, or where none runs, as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from poprelay.clock import Clock
from poprelay.daemon.account import attempt
from poprelay.daemon.configure import Config, Configured
from poprelay.daemon.reading import read_ledger
from poprelay.errors import PoprelayError
from poprelay.maps import KINDS
from poprelay.maps.keys import foreign_record
from poprelay.mta import Finding

_SHOWN: Final = 5
_MEND: Final = "poprelay cleanup; then look at it again"
_BESIDE: Final = frozenset(KINDS) - {"courier"}
"""Kinds of maps whose files all lie beside the one that the config names."""
_COMMANDS: Final = ("command", "commands", "root")
"""Keys of a map by which something is made that may lie anywhere."""


def faults(config: Config, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """What each map holds and must not, or lacks; `status` is the daemon's, if one runs."""
    if status is None:
        said, _ = attempt(lambda: json.dumps(_compared(config)), None)
        for name, more in json.loads(said or "{}").items():
            what = f"{name} lets relay who has no grant: {', '.join(more[:_SHOWN])}" + (" …" if more[_SHOWN:] else "")
            yield Finding("danger", name, what, "it is stale, and nobody takes out of it what has ended", _MEND)
        return
    parts = {part.name: part for part in config.maps}
    for row in status["maps"]:
        if row["in_step"] is False:
            yield _stale(row, parts.get(row["name"]))


def _stale(row: Mapping[str, Any], part: Configured | None) -> Finding:
    """That a map could not be brought in step. By one that was never made nobody can relay, and nothing ends late."""
    remedy = row.get("remedy", "")
    error = row["error"].removeprefix(f"{row['name']}: ").removesuffix(f": {remedy}" if remedy else "")
    said = f": {error}" if error else ""
    if part is not None and _is_nowhere(part):
        what, why = f"the map is not made{said}", "nobody may relay by it"
        return Finding("fault", row["name"], what, why, remedy or "see its log: journalctl -u poprelay")
    why = "somebody may relay who must not any more, or the other way round"
    return Finding("danger", row["name"], f"the map is stale{said}", why, remedy or _MEND)


def _is_nowhere(part: Configured) -> bool:
    """Whether neither the map's file is there nor any that is made from it; False where that cannot be told."""
    path = part.spec.get("path")
    if not isinstance(path, str) or part.kind not in _BESIDE or any(part.spec.get(key) for key in _COMMANDS):
        return False
    try:
        return not any(each.name.startswith(Path(path).name) for each in Path(path).parent.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _compared(config: Config) -> dict[str, list[str]]:
    """For each map that is there, whom it lets relay without a grant."""
    clock = Clock()
    try:
        ledger = read_ledger(config.settings, clock)
    except PoprelayError:
        return {}
    allowed = {grant.address for grant in ledger.grants(clock.now())}
    found: dict[str, list[str]] = {}
    for part in config.maps:
        more = _keys(part) - allowed
        if more:
            found[part.name] = sorted(_shown(key) for key in more)
    return found


def _keys(part: Configured) -> set[str]:
    path = part.spec.get("path")
    try:
        return set(part.object.keys()) if isinstance(path, str) and Path(path).exists() else set()
    except (PoprelayError, OSError):
        return set()
    finally:
        part.object.close()


def _shown(key: str) -> str:
    record = foreign_record(key)
    return key if record is None else record.rstrip(b"\0").decode("utf-8", "backslashreplace")
