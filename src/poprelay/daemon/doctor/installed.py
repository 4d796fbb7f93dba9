"""Our units: enabled, so that a boot brings the daemon back; the timer at work, so that maps lose what has ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from poprelay.daemon import units
from poprelay.daemon.configure import Config
from poprelay.daemon.setup.rootsetup import UNITS as ROOT_UNITS
from poprelay.mta import Finding

_SHIPPED: Final = Path(sys.prefix, "share/poprelay/systemd")
"""Where an installed package has its units."""


def _copy() -> str:
    """The command that puts our units in their place."""
    shipped = f"cp {_SHIPPED}/poprelay* {units.OWN}/"
    return shipped if _SHIPPED.is_dir() else f"in the source: cp packaging/systemd/poprelay* {units.OWN}/"


def faults(config: Config) -> Iterator[Finding]:
    """What systemd does not do; nothing on a host without it, where that cannot be known."""
    daemon, timer = units.DAEMON
    if not units.booted():
        return
    if not units.known(daemon):
        why, mend = "the daemon does not begin at boot", _copy()
        yield Finding("note", "systemd", f"there is no {daemon}", why, f"{mend} && systemctl enable --now {daemon}")
    elif not units.says("is-enabled", daemon):
        why, mend = "after the next boot no login opens anything", f"systemctl enable {daemon}"
        yield Finding("fault", "systemd", f"{daemon} is not enabled", why, mend)
    if config.maps and not units.says("is-active", timer):
        why = "while the daemon is down nobody takes out of the maps what has ended"
        yield Finding("fault", "systemd", f"{timer} is not running", why, f"systemctl enable --now {timer}")
    if any("root" in part.spec for part in config.maps) and not units.says("is-active", ROOT_UNITS[0]):
        why, mend = "what needs root is not done: the MTA keeps what it has", f"systemctl enable --now {ROOT_UNITS[0]}"
        yield Finding("fault", "systemd", f"{ROOT_UNITS[0]} is not running", why, mend)
