"""The packaged units as systemd runs them: what the daemon needs it may, and nothing else."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from live.host import open_to_all
from live.running import until
from live.systemd import Systemd

POPRELAY: Final = Path(sys.executable).with_name("poprelay")
UNITS: Final = ("poprelay.service", "poprelay-cleanup.service", "poprelay-cleanup.timer")
CONFIG: Final = """
[relay]
period = "1h"
exclude_networks = []
[[sources]]
kind = "file"
path = "/var/log/mail.log"
agents = ["dovecot"]
[[maps]]
kind = "lmdb"
path = "/var/lib/poprelay/relay.lmdb"
[[services]]
kind = "socketmap"
listen = "unix:/var/spool/postfix/poprelay/socketmap"
group = "postfix"
"""
LINE: Final = "{} mx dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip={}, lip=9.9.9.9, mpid=7, TLS\n"
ASK: Final = """
import socket, sys
with socket.socket(socket.AF_UNIX) as peer:
    peer.settimeout(5)
    peer.connect("/var/spool/postfix/poprelay/socketmap")
    peer.sendall(b"13:relay 9.9.9.8,")
    print(peer.recv(4096).decode())
"""
ACCOUNTS: Final = {"poprelay": 4301, "postfix": 4302, "adm": 4303, "systemd-journal": 4304}


class House:
    """systemd with our daemon and its timer, and accounts, logs and state of its own."""

    def __init__(self, place: Path, stack: ExitStack) -> None:
        own = "ProtectHome=no\nPrivateTmp=no\n" if _hidden(POPRELAY) else ""  # else the unit has no Python to run
        begin = f"[Service]\nExecStart=\nExecStart={POPRELAY} run -c {place}/toml\n{own}"
        begin += f"StandardError=append:{place}/systemd/daemon.log\n"
        sweep = f"[Service]\nExecStart=\nExecStart={POPRELAY} cleanup -c {place}/toml\n{own}"
        timer = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\n"
        self.systemd = Systemd(place / "systemd", dict(zip(UNITS, (begin, sweep, timer), strict=True)))
        stack.callback(self.systemd.stop)
        self.place = place
        self._furnish()

    def _furnish(self) -> None:
        (self.place / "toml").write_text(CONFIG)
        users, groups = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        for name, number in ACCOUNTS.items():
            users = _without(users, name) + f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
            groups = _without(groups, name) + f"{name}:x:{number}:{'poprelay' if name == 'postfix' else ''}\n"
        for file, text in (("passwd", users), ("group", groups)):
            (self.place / file).write_text(text)
            self.run("mount", "--bind", str(self.place / file), f"/etc/{file}")
        for folder in ("/var/lib", "/var/log", "/var/spool"):
            self.run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)
        self.run("install", "-d", "-m", "0755", "/var/spool/postfix")
        self.run("install", "-d", "-o", "poprelay", "-g", "postfix", "-m", "0750", "/var/spool/postfix/poprelay")
        self.run("install", "-o", "root", "-g", "adm", "-m", "0640", "/dev/null", "/var/log/mail.log")
        open_to_all(self.run, self.place)

    def run(self, *command: str) -> str:
        """What a command prints, as root."""
        return self.systemd.run(*command).stdout

    def as_daemon(self, *command: str) -> int:
        """The exit code of a command as confined as the daemon: its namespace, user and groups, no capability."""
        user = ("setpriv", "--reuid=poprelay", "--regid=poprelay", "--groups=adm,systemd-journal,postfix")
        words = ["nsenter", "--mount", f"--target={self.pid}", *user, "--bounding-set=-all", "--no-new-privs", *command]
        return self.systemd.run(*words, check=False).returncode

    def begin(self) -> None:
        self.systemd.start("poprelay.service")

    @property
    def pid(self) -> str:
        return self.run("systemctl", "show", "--value", "--property=MainPID", "poprelay.service").strip()

    def log_in(self, address: str) -> None:
        line = LINE.format(time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), address)
        self.run("sh", "-c", 'printf %s "$1" >>/var/log/mail.log', "sh", line)

    def asked(self) -> str:
        """What the service answers Postfix, of 9.9.9.8."""
        user = ("setpriv", "--reuid=postfix", "--regid=postfix", "--clear-groups")
        return self.run(*user, sys.executable, "-c", ASK)

    def poprelay(self, *words: str) -> str:
        return self.run(str(POPRELAY), *words, "-c", str(self.place / "toml"))

    def explained(self) -> str:
        """What `explain` says of 9.9.9.8, whatever that is."""
        words = (str(POPRELAY), "explain", "9.9.9.8", "-c", str(self.place / "toml"))
        return self.systemd.run(*words, check=False).stdout


def _hidden(path: Path) -> bool:
    """Whether the units cannot see what lies there: homes and /tmp are not theirs."""
    real = (path, Path(sys.executable).resolve())
    return any(one.is_relative_to(folder) for one in real for folder in ("/root", "/home", "/run/user", "/tmp"))


def _without(table: str, name: str) -> str:
    return "".join(line for line in table.splitlines(keepends=True) if not line.startswith(f"{name}:"))


@pytest.fixture
def house(place: Path, stopping: ExitStack) -> House:
    house = House(place, stopping)
    house.begin()
    return house


def test_it_works_with_no_more_than_its_unit_gives_it(house: House) -> None:
    assert "NOTFOUND" in house.asked()
    house.log_in("9.9.9.8")
    until(lambda: "9.9.9.8" in house.poprelay("list"))
    assert "OK" in house.asked()
    assert house.run("systemctl", "is-active", "poprelay.service").strip() == "active"
    house.poprelay("revoke", "--address", "9.9.9.8")
    assert "NOTFOUND" in house.asked()
    house.poprelay("status")
    house.run("systemctl", "reload", "poprelay.service")
    house.run("systemctl", "stop", "poprelay.service")


def test_it_has_no_capability_no_way_to_gain_one_and_a_filter_on_system_calls(house: House) -> None:
    status = dict(
        line.split(":\t", 1) for line in house.run("cat", f"/proc/{house.pid}/status").splitlines() if ":\t" in line
    )
    assert set(status["Uid"].split()) == {str(ACCOUNTS["poprelay"])}
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    shown = house.run("systemctl", "show", "--property=MemoryMax,LimitNOFILE,SystemCallFilter", "poprelay.service")
    assert "MemoryMax=2147483648" in shown
    assert not {"mount", "ptrace", "reboot", "bpf", "setuid"} & set(shown.split())


def test_what_it_makes_has_exact_modes(house: House) -> None:
    house.log_in("9.9.9.8")
    until(lambda: "9.9.9.8" in house.poprelay("list"))
    shown = house.run(
        "find", "/var/lib/poprelay", "/var/spool/postfix/poprelay", "/run/poprelay", "-printf", "%M %u:%g %p\n"
    )
    assert sorted(shown.splitlines()) == sorted(
        (
            "drwxr-xr-x poprelay:poprelay /run/poprelay",
            "srw-rw---- poprelay:poprelay /run/poprelay/control.sock",
            "drwxr-xr-x poprelay:poprelay /var/lib/poprelay",
            "drwx------ poprelay:poprelay /var/lib/poprelay/private",
            "-rw------- poprelay:poprelay /var/lib/poprelay/private/ledger.db",
            "-rw------- poprelay:poprelay /var/lib/poprelay/private/ledger.db-seq",
            "-rw------- poprelay:poprelay /var/lib/poprelay/private/ledger.db-shm",
            "-rw------- poprelay:poprelay /var/lib/poprelay/private/ledger.db-wal",
            "-rw------- poprelay:poprelay /var/lib/poprelay/private/ledger.db.lock",
            "-rw-r--r-- poprelay:poprelay /var/lib/poprelay/relay.lmdb",
            "drwxr-x--- poprelay:postfix /var/spool/postfix/poprelay",
            "srw-rw---- poprelay:postfix /var/spool/postfix/poprelay/socketmap",
        )
    )


def test_who_breaks_into_it_can_write_nothing_but_what_is_its_own(house: House) -> None:
    mine = ("/var/lib/poprelay/private/x", "/var/lib/poprelay/x", "/run/poprelay/x", "/var/spool/postfix/poprelay/x")
    others = ("/etc/x", "/usr/x", "/var/log/x", "/var/spool/postfix/x", "/var/lib/x", "/run/x", "/x", "/proc/sys/x")
    assert {path: house.as_daemon("touch", path) for path in (*mine, *others)} == {
        **dict.fromkeys(mine, 0),
        **dict.fromkeys(others, 1),
    }
    assert house.as_daemon("sh", "-c", "echo forged >>/var/log/mail.log") != 0
    assert house.as_daemon("cat", "/var/log/mail.log") == 0


def test_the_timer_takes_out_of_the_map_what_ends_without_the_daemon(house: House) -> None:
    (house.place / "toml").write_text(CONFIG.replace('"1h"', '"3s"'))
    house.run("systemctl", "reload", "poprelay.service")
    house.log_in("9.9.9.8")
    until(lambda: "9.9.9.8" in house.poprelay("list"))
    house.run("systemctl", "kill", "--signal=SIGKILL", "poprelay.service")
    house.run("systemctl", "stop", "poprelay.service")
    assert "holds it" in house.explained()
    house.systemd.start("poprelay-cleanup.timer")
    until(lambda: "does not hold it" in house.explained())
