"""`poprelayd`: starts and stops the daemon on systems without a service manager, as Mail::POPRelay's init script did.

The pid file is held under a lock (flock(2)) by the daemon for as long as it lives, so that a number which another
process has by now is never taken for it. Exit codes are those of init scripts (LSB 5.0, 22.2): for `status` 0 running,
1 dead though there is a pid file, 3 not running; else 0 done, 1 failed, 2 usage, 4 not permitted, 6 not configured,
7 not running.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from poprelay.cli.importing import AGENTS
from poprelay.errors import ConfigError, NotPermitted, PoprelayError

CONFIG: Final = Path("/etc/poprelay/poprelay.conf")
PID_FILE: Final = Path("/run/poprelayd.pid")
START_WITHIN: Final = 90.0
STOP_WITHIN: Final = 120.0
"""Seconds: the last run of a database command that hangs, and one more, take a minute."""
NUMBER_WITHIN: Final = 5.0
FAILED, NOT_PERMITTED, NOT_CONFIGURED, NOT_RUNNING = 1, 4, 6, 7
DEAD, STOPPED = 1, 3
"""Of `status`."""


class Keeping:
    """One config, and the daemon in the background that its pid file tells of."""

    def __init__(self, config: Path, agent: str | None, pid_file: Path) -> None:
        self._config = config.absolute()
        self._agent = agent
        self._pid_file = pid_file.absolute()

    def start(self) -> int:
        """Start it, and wait until it is ready."""
        descriptor = self._hold()
        if descriptor is None:
            print("poprelayd is running already")
            return 0
        try:
            return self._spawn(descriptor)
        finally:
            os.close(descriptor)

    def stop(self) -> int:
        """End it by SIGTERM, and wait until it is gone."""
        pid = self.running()
        if pid is None:
            print("poprelayd is not running")
            self._forget()
            return 0
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN
        while self.running() is not None:
            if time.monotonic() > deadline:
                raise PoprelayError(f"poprelayd (pid {pid}) does not end", remedy="see its log")
            time.sleep(0.05)
        self._forget()
        return 0

    def status(self) -> int:
        """Say whether it runs."""
        pid = self.running()
        if pid is not None:
            print(f"poprelayd (pid {pid}) is running")
            return 0
        dead = self._pid_file.exists()
        print("poprelayd is dead, but its pid file is there" if dead else "poprelayd is not running")
        return DEAD if dead else STOPPED

    def restart(self) -> int:
        """Stop it if it runs, and start it."""
        return self.stop() or self.start()

    def condrestart(self) -> int:
        """Restart it only if it runs."""
        return self.restart() if self.running() is not None else 0

    def reload(self) -> int:
        """Let it read its config again, clean the spool and write the relay file anew."""
        pid = self.running()
        if pid is None:
            print("poprelayd is not running")
            return NOT_RUNNING
        os.kill(pid, signal.SIGHUP)
        return 0

    def running(self) -> int | None:
        """Its process, or None if it does not run."""
        try:
            descriptor = os.open(self._pid_file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            deadline = time.monotonic() + NUMBER_WITHIN
            while not _lock(descriptor, fcntl.LOCK_SH):
                said = os.pread(descriptor, 20, 0).strip()
                if said.isdigit():
                    return int(said)
                if time.monotonic() > deadline:
                    raise PoprelayError(
                        f"{self._pid_file} is locked, and no process number stands in it",
                        remedy="see who holds it: fuser -v",
                    )
                time.sleep(0.05)  # it is being started
            return None
        finally:
            os.close(descriptor)

    def _hold(self) -> int | None:
        """The empty pid file, locked; None if a daemon holds it."""
        while True:
            descriptor = os.open(self._pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not _lock(descriptor, fcntl.LOCK_EX):
                os.close(descriptor)
                if self.running() is not None:
                    return None
                time.sleep(0.02)  # somebody else asks just now
            elif os.fstat(descriptor).st_nlink:
                os.ftruncate(descriptor, 0)
                return descriptor
            else:  # somebody has just removed it
                os.close(descriptor)

    def _forget(self) -> None:
        """Remove the pid file if nobody holds it."""
        with suppress(FileNotFoundError):
            descriptor = os.open(self._pid_file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _lock(descriptor, fcntl.LOCK_EX):
                    self._pid_file.unlink()
            finally:
                os.close(descriptor)

    def _spawn(self, descriptor: int) -> int:
        """Start the daemon as the holder of the lock; its exit code, if it ends before it is ready."""
        said = self._pid_file.with_suffix(".err")
        with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(f"{place}/ready")
            told.settimeout(0.1)
            with said.open("wb") as errors:
                process = subprocess.Popen(
                    [sys.executable, "-m", __name__, "--serve", str(self._config), self._agent or ""],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    cwd="/",
                    env={**os.environ, "NOTIFY_SOCKET": f"{place}/ready"},
                    pass_fds=[descriptor],
                    start_new_session=True,
                )
            os.pwrite(descriptor, f"{process.pid}\n".encode(), 0)
            deadline = time.monotonic() + START_WITHIN
            while process.poll() is None and time.monotonic() < deadline:
                with suppress(TimeoutError):
                    if b"READY=1" in told.recv(4096).split(b"\n"):
                        return 0
        if process.poll() is None:
            print("poprelayd is not ready yet; it goes on starting", file=sys.stderr)
            return 0
        self._pid_file.unlink(missing_ok=True)
        sys.stderr.write(said.read_text("utf-8", "backslashreplace"))
        codes = {ConfigError.exit_code: NOT_CONFIGURED, NotPermitted.exit_code: NOT_PERMITTED}
        return codes.get(process.returncode, FAILED)


ACTIONS: Final[dict[str, Callable[[Keeping], int]]] = {
    "start": Keeping.start,
    "stop": Keeping.stop,
    "status": Keeping.status,
    "restart": Keeping.restart,
    "reload": Keeping.reload,
    "condrestart": Keeping.condrestart,
}


@click.command(name="poprelayd", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("action", type=click.Choice(list(ACTIONS)))
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), default=CONFIG, show_default=True, envvar="POPRELAYD_CONFIG",
    help="The config: a Mail::POPRelay file, or one of ours if it ends in .toml.",
)  # fmt: skip
@click.option(
    "--agent", type=click.Choice(AGENTS), envvar="POPRELAYD_AGENT",
    help="Whose log it is: that of poprelay_ipop3d, poprelay_qpopper or poprelay_vpopd. Without it, any of them.",
)  # fmt: skip
@click.option(
    "--pid-file", type=click.Path(path_type=Path), default=PID_FILE, show_default=True, envvar="POPRELAYD_PID_FILE",
    help="Where the daemon's process number stands. What it says before it logs stands beside, in *.err.",
)  # fmt: skip
@click.version_option(package_name="poprelay", prog_name="poprelayd", message="%(prog)s %(version)s")
def command(action: str, config: Path, agent: str | None, pid_file: Path) -> int:
    """Start, stop, restart or reload the daemon in the background, or say how it is: for systems without systemd.

    Options may also be given in the environment: POPRELAYD_CONFIG, POPRELAYD_AGENT, POPRELAYD_PID_FILE. With a
    Mail::POPRelay file, stopping wipes the spool and the relay file, and the log goes to syslog where there is one.
    Exit codes are those of init scripts: of status 0 running, 1 dead, 3 not running; of the others 0 done, 1 failed,
    4 not permitted, 6 not configured, 7 not running.
    """
    try:
        return ACTIONS[action](Keeping(config, agent, pid_file))
    except PermissionError as error:
        print(f"poprelayd: {error.filename or pid_file}: {error.strerror}", file=sys.stderr)
        return NOT_PERMITTED


def _lock(descriptor: int, kind: int) -> bool:
    """Hold the pid file, alone (LOCK_EX) or with others who only ask (LOCK_SH); False while a daemon does."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def serve(config: str, agent: str) -> None:
    """Be the daemon itself, in the background."""
    if config.endswith(".toml"):
        import asyncio

        from poprelay.daemon.daemon import Daemon as Ours

        asyncio.run(Ours(Path(config)).run())
        return
    from poprelay.daemon.heritage.framework import Daemon
    from poprelay.daemon.logs.syslog import Syslog

    try:
        Syslog().close()
        log_to = "syslog"
    except PoprelayError:
        log_to = "stderr"
    Daemon(config, agent=agent or None).run(log_to=log_to)


def main() -> None:
    from poprelay.cli.main import main as be

    be(command, "poprelayd")


@click.command(name="poprelayd")
@click.option("--serve", "config", required=True)
@click.argument("agent")
def _serving(config: str, agent: str) -> None:
    serve(config, agent)


if __name__ == "__main__":
    from poprelay.cli.main import main as be

    be(_serving, "poprelayd")
