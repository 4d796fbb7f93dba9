"""A server that a test has started: one process, stopped by its id, leaving nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def until(
    holds: Callable[[], object], *, seconds: float = 10.0, step: float = 0.01, what: str | Callable[[], str] = ""
) -> float:
    """Wait until `holds()` is true, and return how long that took; AssertionError after `seconds`, with `what` as it is
    then."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began >= seconds:
            raise AssertionError(f"not within {seconds} s: {(what() if callable(what) else what) or holds}")
        time.sleep(step)
    return time.monotonic() - began


class Running:
    """A process in a session of its own; what it prints goes to `output`."""

    def __init__(
        self, name: str, command: Sequence[str], *, output: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.output = output
        with output.open("ab") as printed:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                cwd=output.parent,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def ended(self, *, seconds: float) -> int | None:
        """Its exit code once it has ended by itself; None if it still lives after that time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def ready(self, holds: Callable[[], object], *, seconds: float = 15.0) -> None:
        """Wait until it does its work, by the sign `holds`; AssertionError, with what it printed, if that fails."""
        began = time.monotonic()
        while not holds():
            late = time.monotonic() - began > seconds
            assert self.alive(), f"{self.name} ended with {self._process.returncode}:\n{self.printed()}"
            assert not late, f"{self.name} is not ready after {seconds} s:\n{self.printed()}"
            time.sleep(0.005)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its children."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it and its children by SIGKILL, now, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, *, seconds: float = 10.0) -> int:
        """End it by SIGTERM and return its exit code; children that outlive it are killed."""
        self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop within {seconds} s:\n{self.printed()}") from None
        finally:
            self.kill()

    def printed(self) -> str:
        """The last of what it printed."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-40:])
