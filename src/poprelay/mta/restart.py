"""Starting a service anew, by whatever starts services on this host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SYSTEMD: Final = Path("/run/systemd/system")
_UNITS: Final = tuple(map(Path, ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")))
_SCRIPTS: Final = Path("/etc/init.d")
_PATIENTLY: Final = """\
"$1" stop
for moment in 1 2 3 4 5 6 7 8 9 10; do pidof "$2" >/dev/null || break; sleep 0.5; done
exec "$1" start
"""
"""An init script may not wait for the end of what it stops, and then its start finds it running."""


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
