"""A private systemd as process 1 of namespaces of its own, with a few of our units, and nothing else to do."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from live.packages import staged
from live.running import Running, until

PACKAGING: Final = Path(__file__).parents[2] / "packaging/systemd"

_STAGE: Final = """
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/systemd
mount -t tmpfs tmpfs /sys
mkdir -p /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$2"
echo $$ >"/sys/fs/cgroup/$2/cgroup.procs"
export container=test SYSTEMD_UNIT_PATH="$1" SYSTEMD_LOG_TARGET=console
exec unshare --cgroup --pid --fork --kill-child --mount-proc --mount sh -euc '
    umount /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
    exec /usr/lib/systemd/systemd --system --unit=ours.target
'
"""
_SWEEP: Final = """
mkdir -p "$1"
mount -t cgroup2 none "$1"
find "$1/$2" -depth -type d -exec rmdir {} +
"""
_NEEDED: Final = ("sysinit", "basic", "paths", "shutdown", "umount", "final")
"""Targets that units order themselves by."""


class Systemd:
    """systemd with units from `packaging/systemd`, each with its drop-in, below `place`; /run is its own."""

    def __init__(self, place: Path, units: dict[str, str]) -> None:
        place.mkdir()
        self._place = place
        self._group = f"poprelay-{place.parent.name}"
        folder = place / "units"
        folder.mkdir()
        for unit, drop_in in units.items():
            (folder / unit).write_text((PACKAGING / unit).read_text())
            (folder / f"{unit}.d").mkdir()
            (folder / f"{unit}.d/test.conf").write_text(drop_in)
        for target in _NEEDED:
            (folder / f"{target}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        (folder / "ours.target").write_text("[Unit]\nDefaultDependencies=no\n")
        command = staged("systemd", "sh", "-euc", _STAGE, "stage", folder, self._group)
        self._running = Running("systemd", command, output=place / "printed")
        self._running.ready(lambda: self._first() and self.state("ours.target") == "active")

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command where it runs, with its /run; AssertionError with what it printed if it fails."""
        line = ["nsenter", "--mount", "--pid", "--target", self._first(), *map(str, command)]
        done = subprocess.run(line, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, unit: str) -> None:
        self.run("systemctl", "start", unit)

    def state(self, unit: str) -> str:
        """What systemctl calls active, failed and so on."""
        return self.run("systemctl", "is-active", unit, check=False).stdout.strip()

    def _first(self) -> str:
        """The process that is 1 there, as we call it; nothing if there is none yet."""
        pid = self._running.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()

    def stop(self) -> None:
        self._running.kill()
        sweep = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _SWEEP, "sweep"]
        line = [*sweep, str(self._place / "groups"), self._group]
        until(lambda: subprocess.run(line, check=False, capture_output=True).returncode == 0, step=0.05)
