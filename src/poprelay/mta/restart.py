"""Having an MTA read its config anew: by SIGHUP, or by whatever starts services on this host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Final

_SYSTEMD: Final = Path("/run/systemd/system")
_UNITS: Final = tuple(map(Path, ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")))
_SCRIPTS: Final = Path("/etc/init.d")
_PATIENTLY: Final = """\
"$1" stop
for moment in $(seq 60); do pidof "$2" >/dev/null || break; sleep 0.5; done
exec "$1" start
"""
"""An init script may not wait for the end of what it stops, and then its start finds it running, and leaves it at
that. On a busy host the end may take a while: it has half a minute."""


def restart(names: Sequence[str], program: str) -> tuple[tuple[str, ...], ...]:
    """The command that restarts the first service of these names that there is, whose daemon is `program`.

    None if there is none.
    """
    for name in names:
        if _SYSTEMD.is_dir() and any((folder / f"{name}.service").exists() for folder in _UNITS):
            return (("systemctl", "restart", f"{name}.service"),)
    for name in names:
        if (_SCRIPTS / name).exists():
            return (("/bin/sh", "-c", _PATIENTLY, "restart", str(_SCRIPTS / name), program),)
    return ()


def hang_up(pid_file: Path) -> tuple[tuple[str, ...], ...]:
    """The command that sends SIGHUP to the daemon of that file, whose first line is its process; none if it is down."""
    try:
        os.kill(int(pid_file.read_text().split()[0]), 0)
    except (OSError, ValueError, IndexError):
        return ()
    return (("/bin/sh", "-c", hanging_up(pid_file)),)


def hanging_up(pid_file: Path) -> str:
    """The same for a shell, whether the daemon is there or not."""
    return f'kill -HUP "$(head -n 1 {quote(str(pid_file))})"'
