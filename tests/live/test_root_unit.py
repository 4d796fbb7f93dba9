"""Root's part as systemd runs it: our own units, a real systemd, and a daemon's user who asks."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from live.running import until
from live.systemd import Systemd

UNITS: Final = ("poprelay-root.path", "poprelay-root.service")
NOBODY: Final = 65534
POPRELAY: Final = Path(sys.executable).with_name("poprelay")
ASK: Final = """
import sys
from pathlib import Path
from poprelay.errors import MapError
from poprelay.maps.root import RootCommand
try:
    for name in sys.argv[1:]:
        RootCommand(name)(Path("/nonexistent"))
except MapError as error:
    print(error)
"""


class House:
    """systemd with root's part, and the list that it works from."""

    def __init__(self, place: Path, stack: ExitStack) -> None:
        self.done = place / "done"
        self.relay = place / "relay"
        self.copied = place / "etc" / "relay"
        self.copied.parent.mkdir()
        self.list = place / "root.toml"
        self.list.write_text(
            'user = "nobody"\n'
            f'[[commands]]\nname = "copy"\nsteps = [{{ copy = ["{self.relay}"], to = "{self.copied}" }}, '
            f'{{ run = ["/bin/sh", "-c", "id -u >>{self.done}"] }}]\n'
            '[[commands]]\nname = "fail"\nsteps = [{ run = ["/bin/false"] }]\n'
        )
        own = f"[Service]\nExecStart=\nExecStart={POPRELAY} root-commands --list {self.list}\n"
        own += "PrivateTmp=no\nProtectHome=no\n"  # where this test and its Python may lie
        condition = f"[Unit]\nConditionPathExists=\nConditionPathExists={self.list}\n"
        self.systemd = Systemd(place / "systemd", dict(zip(UNITS, (condition, own), strict=True)))
        stack.callback(self.systemd.stop)
        self.systemd.run("mkdir", "-p", "/run/poprelay-root/requests")
        self.systemd.run("chown", str(NOBODY), "/run/poprelay-root/requests")
        self.write("192.0.2.7\n")
        self.systemd.start("poprelay-root.path")

    def write(self, text: str) -> None:
        self.relay.write_text(text)
        self.systemd.run("chown", str(NOBODY), str(self.relay))

    def ask(self, *names: str) -> str:
        """Ask as the daemon's user; what it is told, if something fails."""
        user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        asked = self.systemd.run(*user, sys.executable, "-c", ASK, *names)
        return asked.stdout


@pytest.fixture
def house(place: Path, stopping: ExitStack) -> House:
    return House(place, stopping)


def test_what_an_unprivileged_user_asks_for_root_does(house: House) -> None:
    assert house.ask("copy") == ""
    assert (house.copied.read_text(), house.done.read_text()) == ("192.0.2.7\n", "0\n")
    assert house.copied.stat().st_uid == 0


def test_a_failure_is_told_and_what_is_asked_then_is_done(house: House) -> None:
    assert "/bin/false failed" in house.ask("fail")
    assert house.systemd.state("poprelay-root.path") == "active"
    assert house.ask("copy") == ""


def test_one_request_after_the_other_is_served_each_second(house: House) -> None:
    began = time.monotonic()
    assert house.ask(*["copy"] * 4) == ""
    assert 3.0 <= time.monotonic() - began < 6.0
    assert house.done.read_text() == "0\n" * 4


def test_a_list_that_cannot_be_believed_does_not_make_systemd_spin(house: House) -> None:
    house.list.chmod(0o666)
    assert "others than root can write" in house.ask("copy")
    assert not house.copied.exists()
    until(lambda: house.systemd.state("poprelay-root.service") == "failed")
    assert house.systemd.state("poprelay-root.path") == "active"
    house.list.chmod(0o644)
    assert house.ask("copy") == ""
