"""The real daemon as a child process, and the real commands that ask it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from live.running import Running, until

PROGRAM = Path(sys.executable).with_name("poprelay")


class Ran(NamedTuple):
    """What a command did."""

    exit: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        """The output of `--json`: one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Poprelay:
    """One config, one ledger, and the daemon on them, all below `place`; it can be started again and again.

    `path` is put before the daemon's PATH; `prefix` before its command line.
    """

    def __init__(self, place: Path, settings: str, *, path: str = "", ledger: Path | None = None) -> None:
        place.mkdir()
        self.ledger = ledger or place / "ledger.db"
        self._env = {"PATH": f"{path}:{os.environ['PATH']}"} if path else {}
        self.place = place
        self.config = place / "poprelay.toml"
        self.log = place / "log"
        self.prefix: list[str] = []
        self.env: dict[str, str] = {}
        self._running: Running | None = None
        self.configure(settings)

    def configure(self, settings: str) -> None:
        """Write the config: `settings`, with the ledger, the control socket and the log where this one has them."""
        self.config.write_text(
            f'{settings}\n[ledger]\npath = "{self.ledger}"\n'
            f'[control]\nlisten = "unix:{self.place}/control"\n[log]\nlevel = "debug"\n'
        )

    def start(self, *options: str) -> None:
        """Start the daemon and wait until it says that it is ready, by sd_notify(3)."""
        told = self.place / "notify"
        told.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(told))
            notify.setblocking(False)
            self.spawn(*options, env={"NOTIFY_SOCKET": str(told)})
            self._daemon.ready(lambda: _told(notify, b"READY=1"))

    def settled(self) -> None:
        """Wait until it has caught up with its logs, and answers for all addresses."""
        until(lambda: self._state() == "running", seconds=30, step=0.05, what="poprelay has caught up")

    def spawn(self, *options: str, env: dict[str, str] | None = None) -> None:
        """Start the daemon and do not wait."""
        assert self._running is None, "it runs already"
        command = [*self.prefix, str(PROGRAM), "run", "-c", str(self.config), *options]
        self._running = Running("poprelay", command, output=self.log, env={**self._env, **self.env, **(env or {})})

    def stop(self) -> int:
        """End it by SIGTERM; its exit code."""
        daemon, self._running = self._daemon, None
        return daemon.stop()

    def kill(self) -> None:
        """`kill -9`."""
        daemon, self._running = self._daemon, None
        daemon.kill()

    def ended(self, *, seconds: float = 0.0) -> int | None:
        """Its exit code if it ends by itself within that time, and can be started again; None if it goes on."""
        exit_code = self._daemon.ended(seconds=seconds)
        if exit_code is not None:
            self._running = None
        return exit_code

    def reload(self) -> None:
        """SIGHUP; returns at once."""
        self._daemon.signal(signal.SIGHUP)

    @property
    def running(self) -> bool:
        return self._running is not None

    @property
    def pid(self) -> int:
        return self._daemon.pid

    def run(self, command: str, *arguments: str) -> Ran:
        """Run `poprelay COMMAND -c CONFIG …`."""
        line = [str(PROGRAM), command, "-c", str(self.config), *arguments]
        done = subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
        return Ran(done.returncode, done.stdout, done.stderr)

    def allowed(self) -> set[tuple[str, str]]:
        """The address and user of every live grant, as `list` says."""
        listed = self.run("list", "--json")
        assert listed.exit == 0, listed
        return {(each["address"], each["user"]) for each in listed.objects()}

    def _state(self) -> object:
        """What `status` calls the state; None if it cannot say yet."""
        status = self.run("status", "--json")
        return status.objects()[0]["state"] if status.out else None

    @property
    def _daemon(self) -> Running:
        assert self._running is not None, "it does not run"
        return self._running


def _told(notify: socket.socket, word: bytes) -> bool:
    try:
        return word in notify.recv(4096).splitlines()
    except BlockingIOError:
        return False
