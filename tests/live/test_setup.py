"""`poprelay setup` and `poprelay doctor` on a Postfix as Debian installs it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from live.examined import findings, start
from live.host import Host
from live.installed import poprelay
from poprelay.mta.postfix.planning import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_setup_changes_proves_and_takes_back(host: Host, kind: str) -> None:
    before = host.files("/etc/postfix")
    shown = host.run(*poprelay("setup", "--with", kind)).stdout
    assert "+smtpd_relay_restrictions" in shown
    assert host.files("/etc/postfix") == before

    said = host.run(*poprelay("setup", "--with", kind, "--apply")).stdout
    assert "it is accepted: 250" in said
    assert "refused again: 454" in said
    main = host.files("/etc/postfix")["/etc/postfix/main.cf"]
    assert host.run(*poprelay("setup", "--with", kind)).stdout.endswith("nothing is to be changed\n")
    if kind == KINDS[0]:
        host.run(*poprelay("setup", "--with", kind, "--apply"))
        assert host.files("/etc/postfix")["/etc/postfix/main.cf"] == main

    host.run(*poprelay("setup", "--undo"))
    assert host.files("/etc/postfix") == before
    assert host.run("ls", "/etc/poprelay", check=False).returncode


def test_setup_touches_nothing_on_a_broken_config(host: Host) -> None:
    host.run("postconf", "-e", "smtpd_relay_restrictions = permit_mynetworks")
    before = host.files("/etc/postfix")
    done = host.run(*poprelay("setup", "--apply"), check=False)
    assert (done.returncode, "does not end with reject_unauth_destination" in done.stderr) == (1, True)
    assert host.files("/etc/postfix") == before
    assert host.run("ls", "/etc/poprelay", check=False).returncode


def test_setup_puts_everything_back_where_it_cannot_be_proved(host: Host) -> None:
    host.run("postconf", "-e", "smtpd_sender_restrictions = reject")
    before = host.files("/etc/postfix")
    done = host.run(*poprelay("setup", "--apply"), check=False)
    assert done.returncode == 1
    assert "everything was put back: a client at 9.9.9.9 with a grant is told: 554" in done.stderr
    assert host.files("/etc/postfix") == before


def test_the_doctor_finds_each_trap_and_nothing_on_a_clean_set_up(host: Host, place: Path, stopping: ExitStack) -> None:
    host.run(*poprelay("setup", "--apply"))
    start(host, place, stopping)
    assert findings(host) == (0, [])

    host.run("sh", "-c", "echo '10.1.2.3 20260101' >/etc/postfix/access; postmap hash:/etc/postfix/access")
    host.run("cp", "-p", "/etc/postfix/main.cf", "/etc/postfix/main.cf.good")
    ask = "check_client_access socketmap:unix:poprelay/socketmap:relay"
    access = "check_client_access hash:/etc/postfix/access"
    for setting, level, word in (
        ("smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination", "fault", "does not ask us"),
        (f"smtpd_relay_restrictions = {ask}, reject_unauth_destination", "fault", "no permit_auth_destination"),
        (f"smtpd_relay_restrictions = permit_auth_destination, {ask}, permit", "danger", "reject_unauth_destination"),
        (f"smtpd_client_restrictions = {ask}", "fault", "smtpd_client_restrictions asks us"),
        ("smtpd_recipient_restrictions = reject_unauth_destination", "fault", "smtpd_recipient_restrictions rejects"),
        (
            f"smtpd_relay_restrictions = {access}, permit_auth_destination, {ask}, reject",
            "danger",
            "10.1.2.3 '20260101'",
        ),
        ("mynetworks = 127.0.0.0/8, socketmap:unix:poprelay/socketmap:relay", "danger", "mynetworks names"),
        ("smtpd_helo_restrictions = reject_non_fqdn_helo_hostname", "note", "reject_non_fqdn_helo_hostname"),
    ):
        host.run("postconf", "-e", setting)
        code, seen = findings(host)
        assert [(one["level"], word in one["what"]) for one in seen] == [(level, True)], (setting, seen)
        assert code == {"note": 0, "fault": 1, "danger": 4}[level]
        host.run("cp", "-p", "/etc/postfix/main.cf.good", "/etc/postfix/main.cf")
    host.run("chmod", "600", "/var/log/mail.log")
    assert ["may not read" in one["what"] for one in findings(host)[1]] == [True]
    host.run("chmod", "644", "/var/log/mail.log")
    host.run("touch", "-d", "3 days ago", "/var/log/mail.log")
    assert ["was not written" in one["what"] for one in findings(host)[1]] == [True]
