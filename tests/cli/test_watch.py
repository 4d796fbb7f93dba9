"""`poprelay watch` on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live.daemon import PROGRAM, Poprelay

SETTINGS = """
[relay]
period = "30m"
exclude_networks = []
[[sources]]
kind = "file"
path = "{place}/mail.log"
agents = ["dovecot"]
"""


@pytest.fixture
def poprelay() -> Iterator[Poprelay]:
    with tempfile.TemporaryDirectory() as folder:  # short enough for a socket's path
        made = Poprelay(Path(folder, "d"), SETTINGS.format(place=folder))
        Path(folder, "mail.log").touch()
        made.start()
        made.settled()
        yield made
        if made.running:
            made.kill()


class Terminal:
    """A command on a terminal of its own, and what it has shown so far."""

    def __init__(self, *command: str | Path) -> None:
        self._ours, theirs = pty.openpty()
        env = {**os.environ, "COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
        os.close(theirs)
        self.shown = ""

    def until(self, holds: Callable[[str], bool]) -> None:
        """Wait until what is shown from now on is so."""
        self.shown, deadline = "", time.monotonic() + 20
        while not holds(self.shown):
            assert time.monotonic() < deadline, self.shown
            if select.select([self._ours], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self._ours, 65536).decode()
                except OSError:  # the other side is closed
                    assert holds(self.shown), self.shown
                    return

    def end(self) -> int:
        code = self.process.wait(10)
        os.close(self._ours)
        return code


def test_who_may_relay_is_shown_and_who_may_not_any_more_is_gone(poprelay: Poprelay) -> None:
    assert poprelay.run("allow", "9.9.9.9", "--user", "ann").exit == 0
    terminal = Terminal(PROGRAM, "watch", "-c", poprelay.config)
    terminal.until(lambda shown: "1 may relay now" in shown and "9.9.9.9" in shown)
    assert poprelay.run("allow", "9.9.9.8", "--user", "bob").exit == 0
    terminal.until(lambda shown: "2 may relay now" in shown and "9.9.9.8" in shown)
    assert poprelay.run("revoke", "--address", "9.9.9.9").exit == 0
    terminal.until(lambda shown: "1 may relay now" in shown)
    terminal.until(lambda shown: "9.9.9.8" in shown and "9.9.9.9" not in shown)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0


def test_it_ends_with_the_daemon_and_says_so(poprelay: Poprelay) -> None:
    terminal = Terminal(PROGRAM, "watch", "-c", poprelay.config)
    terminal.until(lambda shown: "0 may relay now" in shown)
    poprelay.stop()
    terminal.until(lambda shown: "the daemon went away" in shown)
    assert terminal.end() == 3
