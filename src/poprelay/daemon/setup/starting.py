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
from typing import Any, Final

from poprelay.config.load import control_socket
from poprelay.daemon import units
from poprelay.daemon.client import ask, connect
from poprelay.errors import MtaError, NoDaemon, PoprelayError
from poprelay.mta.apply import Record

USER: Final = "poprelay"
"""The daemon's account."""
_PATIENCE: Final = 30.0


@contextmanager
def running(config_path: Path, record: Record, say: Callable[[str], None]) -> Iterator[None]:
    """A daemon on that config: the one that runs, told to read it again; systemd's; or one only for this.

    What ends the unit, if it was not enabled, goes into the record.
    """
    if told(config_path):
        say("the daemon that runs has read the config again")
        yield
        return
    if units.booted() and units.known(units.DAEMON[0]):
        units.enable(units.DAEMON, record)
        say(f"enabled and started: {', '.join(units.DAEMON)}")
        yield
        return
    account = pwd.getpwnam(USER)
    runtime = control_socket(config_path).parent
    if not runtime.is_dir():  # as systemd's RuntimeDirectory= has it
        runtime.mkdir()
        runtime.chmod(0o755)
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
        _await(daemon, config_path)
        yield
        say("poprelay ran only for this proof: let it start now, and at every boot")
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)


def told(config_path: Path) -> bool:
    """Let the daemon that runs read its config again; False if none runs. Raises MtaError if it refuses."""
    try:
        before = _status(config_path)
    except NoDaemon:
        return False
    if Path(before["config"]).is_absolute() and before["config"] != str(config_path.absolute()):
        raise MtaError(f"a daemon runs with another config: {before['config']}", remedy="name it: --config, or stop it")
    if before["observe"]:
        raise MtaError("the daemon that runs only observes, and tells no MTA", remedy="start it without --observe")
    os.kill(before["pid"], signal.SIGHUP)
    end = time.monotonic() + _PATIENCE
    while (now := _status(config_path))["reloads"] == before["reloads"]:
        if time.monotonic() > end:
            raise MtaError(f"the daemon did not read its config again within {_PATIENCE:g} seconds")
        time.sleep(0.05)
    if refused := [problem for problem in now["problems"] if "reload was refused" in problem]:
        raise MtaError(refused[0])
    if failed := [f"{one['name']}: {one['error']}" for one in (*now["maps"], *now["services"]) if _wrong(one["error"])]:
        raise MtaError(failed[0], remedy="if it may not write there: systemctl restart poprelay, then run setup again")
    return True


def _wrong(error: str) -> bool:
    """Whether a map or service fails; not if only root's part does: the MTA does not know of the map yet."""
    return bool(error) and not error.startswith("root's part: ")


def _status(config_path: Path) -> dict[str, Any]:
    with connect(control_socket(config_path)) as connection:
        row: dict[str, Any] = next(iter(ask(connection, "status", {})))
        return row


def _await(daemon: subprocess.Popen[bytes], config_path: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while daemon.poll() is None and time.monotonic() < end:
        try:
            if _status(config_path)["state"] == "running":
                return
        except PoprelayError:
            pass
        time.sleep(0.1)
    if daemon.poll() is None:
        raise MtaError(f"poprelay did not start within {_PATIENCE:g} seconds")
    said = daemon.communicate()[1].decode("utf-8", "replace").strip().splitlines()
    raise MtaError(f"poprelay does not start: {said[-1] if said else daemon.returncode}")
