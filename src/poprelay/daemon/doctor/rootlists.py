"""Root's list, where a map of ours needs it: whether it has what the map asks for, and may be believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from poprelay.daemon.configure import Config
from poprelay.daemon.root.rootlist import CONFIG, read_list
from poprelay.errors import PoprelayError
from poprelay.maps.root import DIRECTORY
from poprelay.mta import Finding

_WHY: Final = "the map changes, but the MTA is not told: who must not any more may still relay"
_START: Final = "systemctl enable --now poprelay-root.path"


def faults(config: Config, path: Path = CONFIG) -> Iterator[Finding]:
    """What is not in the list that a map asks for; or where nobody can be asked."""
    asking = [part for part in config.maps if part.spec.get("root")]
    if not asking:
        return
    try:
        commands = read_list(path).commands
    except (PoprelayError, OSError) as error:
        yield _fault(str(error), f"poprelay setup; then: {_START}")
        return
    for part in asking:
        if part.spec["root"] not in commands:
            yield _fault(f"{path} has no command {part.spec['root']}, for {part.name}", "poprelay setup")
        requests = Path(str(part.spec.get("root_directory", DIRECTORY)), "requests")
        if not requests.is_dir():
            yield _fault(f"there is no {requests}", f"systemd-tmpfiles --create poprelay.conf; {_START}")


def _fault(what: str, mend: str) -> Finding:
    return Finding("fault", "root's part", what, _WHY, mend)
