"""`poprelay setup` where it is interrupted, where it may not write, and where others have written since."""

from __future__ import annotations

import shlex
from pathlib import Path

from live.host import Host
from live.installed import poprelay

INTERRUPTED = """\
: >/run/said  # of what an earlier one said
{apply} >/run/said 2>&1 &
setup=$!
until grep -q 'wrote /etc/postfix' /run/said; do kill -0 $setup || exit 9; sleep 0.02; done
while kill -{signal} $setup 2>/dev/null; do sleep 0.01; done
wait $setup
"""
FILL = """\
cp -a /etc/postfix /run/kept
mount -t tmpfs -o size=256k tmpfs /etc/postfix
cp -a /run/kept/. /etc/postfix
dd if=/dev/zero of=/etc/postfix/large 2>/dev/null || true
"""
FILES = ("/etc/postfix", "/etc/poprelay")


def test_whoever_interrupts_it_again_and_again_finds_everything_as_it_was(host: Host) -> None:
    before = host.files("/etc/postfix")
    apply = shlex.join(poprelay("setup", "--apply"))
    for signal in ("INT", "HUP"):
        done = host.run("bash", "-c", INTERRUPTED.format(apply=apply, signal=signal), check=False)
        said = host.run("cat", "/run/said").stdout
        assert (done.returncode, "everything was put back: interrupted" in said) == (1, True), said
        assert host.files("/etc/postfix") == before
        assert host.run("ls", "/etc/poprelay", check=False).returncode


def test_one_that_was_killed_is_taken_back_or_begun_anew(host: Host) -> None:
    before = host.files("/etc/postfix")
    apply = shlex.join(poprelay("setup", "--apply"))
    killed = f"{apply} >/run/said 2>&1 & until grep -q 'is refused' /run/said; do sleep 0.05; done; kill -9 $!"
    host.run("bash", "-c", killed)
    assert host.files("/etc/postfix") != before
    assert "it is accepted: 250" in host.run(*poprelay("setup", "--apply")).stdout
    host.run(*poprelay("setup", "--undo"))
    assert host.files("/etc/postfix") == before


def test_a_full_disk_changes_nothing(host: Host) -> None:
    host.run("sh", "-ec", FILL)
    before = host.files("/etc/postfix")
    done = host.run(*poprelay("setup", "--apply"), check=False)
    assert (done.returncode, "everything was put back: /etc/postfix/main.cf" in done.stderr) == (1, True), done
    assert "No space left on device" in done.stderr
    assert host.files("/etc/postfix") == before


def test_a_file_system_that_is_read_only_is_named(host: Host) -> None:
    before = host.files("/etc/postfix")
    host.run("mount", "-o", "remount,ro", "/etc")
    done = host.run(*poprelay("setup", "--apply"), check=False)
    assert (done.returncode, "Read-only file system" in done.stderr, "as root" in done.stderr) == (1, True, False), done
    assert host.files("/etc/postfix") == before


def test_while_postfix_asks_still_poprelay_goes_on_and_what_others_have_changed_stays(host: Host, place: Path) -> None:
    before = host.files("/etc/postfix")
    old = host.run("postconf", "-h", "smtpd_relay_restrictions").stdout.strip()
    host.run(*poprelay("setup", "--apply", "--with", "lmdb"))
    new = host.run("postconf", "-h", "smtpd_relay_restrictions").stdout.strip()
    host.run("postconf", "-e", f"smtpd_relay_restrictions = check_sender_access hash:/x, {new}")
    written = host.files(*FILES)

    done = host.run(*poprelay("setup", "--undo"), check=False)
    assert (done.returncode, "poprelay goes on, for the MTA asks it still" in done.stdout) == (1, True), done
    assert host.files(*FILES) == written

    host.run("postconf", "-e", f"smtpd_relay_restrictions = {new}", "biff = no")
    assert "only what is ours was taken out" in host.run(*poprelay("setup", "--undo")).stdout
    assert host.run("postconf", "-h", "smtpd_relay_restrictions", "biff").stdout == f"{old}\nno\n"
    assert set(host.files("/etc/postfix")) == set(before)
    assert host.run("ls", "/etc/poprelay", check=False).returncode
