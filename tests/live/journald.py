"""A private systemd-journald, and those who write to it: servers, and others who pretend to be one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from live.packages import staged
from live.running import Running, until

READERS: Final = 27
"""The group id that may read the journal."""

_CONFIG = """
[Journal]
Storage=auto
Audit=no
ReadKMsg=no
SyncIntervalSec=0
RateLimitIntervalSec=1s
RateLimitBurst=100
"""

_STAGE = """
mount -t overlay overlay -o "lowerdir=$1/etc:/etc" /etc
mount -t tmpfs tmpfs /media
for node in null zero full random urandom tty; do : >"/media/$node"; mount --bind "/dev/$node" "/media/$node"; done
ln -s /run/systemd/journal/dev-log /media/log
mount -t tmpfs tmpfs /sys
mkdir -p /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount --bind "$1/var" /var/log
mount --bind "$1/run" /run
mount --rbind /media /dev
if [ -e "$1/boot_id" ]; then mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id; fi
exec /usr/lib/systemd/systemd-journald
"""
"""Nothing of this is seen outside, but for the folders of `place` and, while a test runs, a cgroup."""

_SLICE = f"/sys/fs/cgroup/poprelaylive{os.getpid()}.slice"  # tests may run side by side

_WRITER = """
import ctypes, os, sys, syslog
comm, uid, tag = sys.argv[1:]
ctypes.CDLL(None).prctl(15, comm.encode(), 0, 0, 0)
os.setgroups([])
os.setgid(int(uid))
os.setuid(int(uid))
syslog.openlog(tag, 0, syslog.LOG_MAIL)
for line in sys.stdin:
    syslog.syslog(line.rstrip())
"""

_NATIVE = """
import os, socket, sys, time
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.connect("/run/systemd/journal/socket")
sender.send(sys.stdin.buffer.read())
time.sleep(0.2)
"""


class Writer:
    """A process with a name and an account of its own, that says what it is told to `/dev/log`, until it is closed."""

    def __init__(self, enter: list[str], comm: str, uid: int, tag: str) -> None:
        python = shutil.which("python3") or "python3"
        self._process = subprocess.Popen(
            [*enter, python, "-c", _WRITER, comm, str(uid), tag], stdin=subprocess.PIPE, text=True
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, *messages: str) -> None:
        assert self._process.stdin is not None
        for message in messages:
            self._process.stdin.write(f"{message}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.communicate()


class Journald:
    """journald below `place`, whose journal is below `run`, as in memory, until `flush`.

    `journalctl` is a program that reads its journal from anywhere; `socket` stands for `/dev/log`.
    """

    def __init__(self, place: Path) -> None:
        for folder in ("etc/systemd", "run/systemd/journal", "run/log/journal", "var/journal", "bin"):
            (place / folder).mkdir(parents=True)
        for folder in ("run/log/journal", "var/journal"):
            os.chown(place / folder, 0, READERS)
            (place / folder).chmod(0o2755)
        (place / "etc/machine-id").write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
        (place / "etc/systemd/journald.conf").write_text(_CONFIG)
        self.place = place
        self.socket = place / "run/systemd/journal/dev-log"
        self.journalctl = place / "bin/journalctl"
        self.boot_id = Path("/proc/sys/kernel/random/boot_id")
        self._writers: list[Writer] = []
        self._groups: list[str] = []
        self._running: Running | None = None
        self.start()

    def start(self) -> None:
        for old in (self.place / "run/systemd/journal").iterdir():
            if old.is_socket():
                old.unlink()
        command = ["unshare", "--net", *staged("systemd", "sh", "-euc", _STAGE, "stage", self.place)]
        self._running = Running("journald", command, output=self.place / "printed")
        self._running.ready(self._answers)
        self.journalctl.write_text(f'#!/bin/sh\nexec {" ".join(self._enter)} /usr/bin/journalctl "$@"\n')
        self.journalctl.chmod(0o755)

    def _answers(self) -> bool:
        """Whether `journalctl --sync` finds it: that socket is the last that it opens."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self.socket.with_name("io.systemd.journal")))
            return True
        return False

    def stop(self) -> None:
        while self._writers:
            self._writers.pop().close()
        if self._groups:
            self._do("rmdir", *dict.fromkeys(self._groups), _SLICE)
        if self._running is not None:
            self._running.stop()
            self._running = None

    def reboot(self, boot_id: str) -> None:
        """End journald by SIGKILL, and start it in another boot of the same host; its files remain."""
        while self._writers:
            self._writers.pop().close()
        assert self._running is not None
        self._running.kill()
        self.boot_id = self.place / "boot_id"
        self.boot_id.write_text(f"{boot_id}\n")
        (self.place / "run/systemd/journal/flushed").unlink(missing_ok=True)
        self.start()

    def server(self, comm: str = "log", *, uid: int = 0, tag: str = "dovecot") -> Writer:
        """A process that writes by syslog(3), closed with the journal at the latest."""
        writer = Writer(self._enter, comm, uid, tag)
        self._writers.append(writer)
        return writer

    def put(self, writer: Writer, unit: str) -> None:
        """Make the process part of a systemd unit, as systemd itself does: by its control group."""
        group = f"{_SLICE}/{unit}"
        self._do("sh", "-euc", 'mkdir -p "$1"; echo "$2" >"$1/cgroup.procs"', "sh", group, str(writer.pid))
        self._groups.append(group)

    def logger(self, *arguments: str, uid: int = 0) -> None:
        """logger(1), run by an account."""
        self._do("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "logger", *arguments)

    def native(self, fields: bytes, *, uid: int = 0) -> None:
        """Write one entry by journald's own protocol."""
        python = shutil.which("python3") or "python3"
        subprocess.run([*self._enter, python, "-c", _NATIVE, str(uid)], input=fields, check=True)

    def rotate(self) -> None:
        self._do("journalctl", "--rotate")

    def vacuum(self) -> None:
        """Remove all of the journal but what is being written."""
        self._do("journalctl", "--quiet", "--vacuum-files=1")

    def flush(self) -> None:
        """From memory to disk."""
        self._do("journalctl", "--flush")

    def messages(self, tag: str = "dovecot") -> list[str]:
        """What the journal holds of a tag, as its own tool shows it."""
        self._do("journalctl", "--sync")
        return self._do("journalctl", "--output=cat", f"--identifier={tag}").splitlines()

    def holds(self, count: int, tag: str = "dovecot") -> None:
        """Wait until so many entries of a tag are in the journal."""
        until(lambda: len(self.messages(tag)) >= count, step=0.05, what=f"{count} entries of {tag}")

    def journalctls(self) -> list[int]:
        """The process ids of those who read this journal now."""
        found = []
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                is_reader = cmdline.read_bytes().startswith(b"/usr/bin/journalctl\0")
                same = is_reader and str((cmdline.parent / "ns/mnt").readlink()) == self._mounts
            except OSError:
                continue
            if same:
                found.append(int(cmdline.parent.name))
        return found

    def kill_journalctl(self) -> None:
        for pid in self.journalctls():
            os.kill(pid, signal.SIGKILL)

    @property
    def _pid(self) -> int:
        assert self._running is not None, "journald does not run"
        return self._running.pid

    @property
    def _mounts(self) -> str:
        return str(Path(f"/proc/{self._pid}/ns/mnt").readlink())

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._pid}/ns/mnt", "--"]

    def _do(self, *command: str | Path) -> str:
        done = subprocess.run(
            [*self._enter, *map(str, command)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout
