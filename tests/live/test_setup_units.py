"""`poprelay setup` where systemd has our units; systemctl is played by a script that starts and stops the daemon."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from live.host import Host
from live.installed import poprelay
from live.running import until

SYSTEMCTL = """\
#!/bin/sh
cd /run/played || exit 1
echo "$*" >>said
do=$1
shift
[ $# = 0 ] || shift
case $do in
    is-*) test -e "on-$1" ;;
    enable)
        for unit; do : >"on-$unit"; done
        install -d -o poprelay /run/poprelay
        setpriv --reuid poprelay --regid poprelay --init-groups {run} >log 2>&1 &
        echo $! >pid
        until [ -S /run/poprelay/control.sock ]; do sleep 0.1; done
        ;;
    disable)
        for unit; do rm "on-$unit"; done
        kill "$(cat pid)"
        ;;
esac
"""


@pytest.fixture
def host(host: Host, place: Path) -> Host:
    (place / "systemctl").write_text(SYSTEMCTL.format(run=shlex.join(poprelay("run"))))
    host.run("mkdir", "-p", "/run/systemd/system", "/run/played", "/etc/systemd/system")
    host.run("install", "-m", "755", place / "systemctl", "/run/played/systemctl")
    host.run("touch", "/etc/systemd/system/poprelay.service", "/etc/systemd/system/poprelay-cleanup.timer")
    return host


def run(host: Host, *words: str, check: bool = True) -> str:
    found = host.run("env", "PATH=/run/played:/usr/sbin:/usr/bin", *poprelay(*words), check=check)
    return found.stdout + found.stderr


def said(host: Host) -> list[str]:
    return host.run("cat", "/run/played/said").stdout.splitlines()


def test_units_are_enabled_and_disabled_when_it_is_undone(host: Host) -> None:
    out = run(host, "setup", "--apply")
    assert "enabled and started: poprelay.service, poprelay-cleanup.timer" in out
    assert "enable --now poprelay.service poprelay-cleanup.timer" in said(host)
    assert run(host, "doctor") == "nothing is wrong\n"
    run(host, "setup", "--undo")
    assert said(host)[-1] == "disable --now poprelay.service poprelay-cleanup.timer"
    until(lambda: host.run("test", "-S", "/run/poprelay/control.sock", check=False).returncode)


def test_the_doctor_says_which_unit_does_not_do_its_work(host: Host) -> None:
    run(host, "setup", "--apply", "--with", "lmdb")
    host.run("rm", "/run/played/on-poprelay.service", "/run/played/on-poprelay-cleanup.timer")
    out = run(host, "doctor", check=False)
    assert "mend: systemctl enable poprelay.service" in out
    assert "mend: systemctl enable --now poprelay-cleanup.timer" in out
