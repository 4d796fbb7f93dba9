"""A daemon for a moment: the one that runs, systemd's, or one of our own."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from poprelay.config.load import control_socket
from poprelay.daemon.client import ask, connect
from poprelay.errors import MtaError, NoDaemon, PoprelayError
from poprelay.mta.apply import run

USER: Final = "poprelay"
"""The daemon's account."""
_UNIT: Final = Path("/etc/systemd/system/poprelay.service")
_PATIENCE: Final = 30.0


@contextmanager
def running(config_path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """A daemon on that config: the one that runs, told to read it again; systemd's; or one only for this."""
    try:
        with connect(control_socket(config_path)) as connection:
            row = next(iter(ask(connection, "status", {})))
    except NoDaemon:
        pass
    else:
        os.kill(row["pid"], signal.SIGHUP)
        time.sleep(1.0)
        yield
        return
    if Path("/run/systemd/system").is_dir() and _UNIT.exists():
        run([("systemctl", "enable", "--now", "poprelay.service", "poprelay-cleanup.timer")])
        yield
        return
    account = pwd.getpwnam(USER)
    runtime = control_socket(config_path).parent
    runtime.mkdir(mode=0o755, exist_ok=True)
    os.chown(runtime, account.pw_uid, account.pw_gid)
    words = [sys.executable, "-m", "poprelay", "run", "-c", str(config_path)]
    daemon = subprocess.Popen(
        words,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=os.getgrouplist(USER, account.pw_gid),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        _await(daemon, control_socket(config_path))
        yield
        say("poprelay ran only for this proof: start it now, and at every boot (packaging/systemd/poprelay.service)")
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)


def _await(daemon: subprocess.Popen[bytes], control: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while daemon.poll() is None and time.monotonic() < end:
        try:
            with connect(control) as connection:
                if next(iter(ask(connection, "status", {})))["state"] == "running":
                    return
        except PoprelayError:
            pass
        time.sleep(0.1)
    if daemon.poll() is None:
        raise MtaError(f"poprelay did not start within {_PATIENCE:g} seconds")
    said = daemon.communicate()[1].decode("utf-8", "replace").strip().splitlines()
    raise MtaError(f"poprelay does not start: {said[-1] if said else daemon.returncode}")
