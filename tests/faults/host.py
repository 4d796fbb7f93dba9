"""The disks and the clock of a world: small filesystems, and a layer that makes all of it ill (host.c says how)."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("host.c")


_CLONE_NEWNS: Final = 0x00020000


@cache
def seclude() -> None:
    """What is mounted from now on is this process's and its children's: if they are killed, it goes with them.

    Call it before there are threads that mount. Python 3.11 has no `os.unshare`.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "unshare(CLONE_NEWNS)")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@cache
def _compiled(folder: Path) -> Path:
    library = folder / "host.so"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Host:
    """`kept` holds what poprelay keeps (ledger in `state`, map in `maps`), `logs` what the mail server writes."""

    def __init__(self, place: Path, *, size: str) -> None:
        self.kept = place / "kept"
        self.state = self.kept / "state"
        self.maps = self.kept / "maps"
        self.logs = place / "logs"
        self._shadow = place / "shadow"
        self._mounted: list[Path] = []
        for folder, its in ((self.state, size), (self.maps, "8m"), (self.logs, size)):
            folder.mkdir(parents=True)
            options = f"size={its},mode=0755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
            self._mounted.append(folder)
        self._make_folders(self.kept)
        self._make_folders(self._shadow)
        rules = place / "rules"
        rules.write_bytes(bytes(4096))
        with rules.open("r+b") as file:
            self._rules = mmap.mmap(file.fileno(), 4096)
        self.env = {
            "LD_PRELOAD": str(_compiled(place)),
            "FAULTS_RULES": str(rules),
            "FAULTS_KEPT": str(self.kept),
            "FAULTS_SHADOW": str(self._shadow),
            "FAULTS_LOGS": str(self.logs),
        }

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Nothing that poprelay keeps can be written, as after a kernel that met an error."""
        yield from self._ruled(0, 1)

    @contextlib.contextmanager
    def stalled(self, *, names: bool = False) -> Iterator[None]:
        """Who reads a log waits for as long as this lasts; `names`: also who opens it, or looks for it."""
        yield from self._ruled(1, 2 if names else 1)

    @contextlib.contextmanager
    def slow(self, milliseconds: int) -> Iterator[None]:
        """Each read of a log takes so long."""
        yield from self._ruled(2, milliseconds)

    @contextlib.contextmanager
    def full(self, folder: Path) -> Iterator[None]:
        """No byte is left there."""
        filler = folder / "filler"
        try:
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            yield
        finally:
            filler.unlink()

    @contextlib.contextmanager
    def remounted_read_only(self) -> Iterator[None]:
        """The same by the kernel itself, which it refuses while somebody has a file open for writing."""
        for folder in (self.state, self.maps):
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        try:
            yield
        finally:
            for folder in (self.state, self.maps):
                subprocess.run(["mount", "-o", "remount,rw", folder], check=True)

    def set_clock(self, ahead: int) -> None:
        """The daemon's clock of the day is so many seconds ahead of the kernel's from now on."""
        self._rules[8:16] = ahead.to_bytes(8, sys.byteorder, signed=True)

    def lose_unsynced(self) -> None:
        """What a power cut leaves: of what poprelay keeps, only what was synced."""
        for folder in (self.state, self.maps):
            shutil.rmtree(folder / "private", ignore_errors=True)
            for file in folder.iterdir():
                file.unlink()
        shutil.copytree(self._shadow, self.kept, dirs_exist_ok=True)

    def unmount(self) -> None:
        self._rules.close()
        for folder in self._mounted:
            subprocess.run(["umount", "-l", folder], check=True)

    def _ruled(self, rule: int, value: int) -> Iterator[None]:
        self._rules[rule] = value
        try:
            yield
        finally:
            self._rules[rule] = 0

    @staticmethod
    def _make_folders(top: Path) -> None:
        (top / "state" / "private").mkdir(parents=True)
        (top / "maps").mkdir(exist_ok=True)
