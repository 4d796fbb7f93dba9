"""Our systemd units: whether they are there, enabled and active; enabling them so that it can be undone."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from poprelay.mta.apply import Record, run

OWN: Final = Path("/etc/systemd/system")
"""Where an administrator's units lie."""
FOLDERS: Final = (
    OWN,
    *map(Path, ("/run/systemd/system", "/usr/local/lib/systemd/system")),
    *map(Path, ("/usr/lib/systemd/system", "/lib/systemd/system")),
)
DAEMON: Final = ("poprelay.service", "poprelay-cleanup.timer")
_SYSTEMD: Final = Path("/run/systemd/system")


def booted() -> bool:
    """Whether systemd runs this host: sd_booted(3)."""
    return _SYSTEMD.is_dir()


def known(unit: str) -> bool:
    return any((folder / unit).exists() for folder in FOLDERS)


def says(question: str, unit: str) -> bool:
    """What systemctl answers: `is-enabled`, `is-active`."""
    return subprocess.run(["systemctl", question, "-q", unit], capture_output=True, check=False).returncode == 0


def enable(units: Sequence[str], record: Record) -> None:
    """Enable and start them; what takes that back goes into the record. Raises MtaError."""
    fresh = [unit for unit in units if not says("is-enabled", unit)]
    command = ["systemctl", "disable", "--now", *fresh]
    if fresh and command not in record.ends:
        record.ends.append(command)
    run([("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", *units)])
