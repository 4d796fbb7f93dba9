"""`poprelay setup` and `poprelay doctor` on an Exim as Debian installs it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from live.examined import findings, log_in, start
from live.host import Host
from live.installed import poprelay
from live.installed_exim import exim
from live.network import Network

RCPT = "/etc/exim4/conf.d/acl/30_exim4-config_check_rcpt"
LISTEN = """
sed -i "s/^dc_local_interfaces=.*/dc_local_interfaces='{}'/" /etc/exim4/update-exim4.conf.conf
update-exim4.conf
"""
KINDS = ("spool", "readsocket", "iplsearch", "hosts")


@pytest.fixture
def host(request: pytest.FixtureRequest, place: Path, network: Network, stopping: ExitStack) -> Host:
    host = exim(place / "host", getattr(request, "param", "split"))
    stopping.callback(host.stop)
    log_in(host)
    return host


@pytest.mark.parametrize(
    ("host", "kind"),
    [*(("split", kind) for kind in KINDS), ("template", "spool"), ("single", "readsocket")],
    indirect=["host"],
)
def test_setup_changes_proves_and_takes_back(host: Host, kind: str, place: Path, stopping: ExitStack) -> None:
    before = host.files("/etc/exim4", "/var/lib/exim4")
    shown = host.run(*poprelay("setup", "--with", kind)).stdout
    assert "+  accept" in shown
    assert host.files("/etc/exim4", "/var/lib/exim4") == before

    said = host.run(*poprelay("setup", "--with", kind, "--apply")).stdout
    assert "it is accepted: 250" in said
    assert "refused again: 550" in said
    assert host.run(*poprelay("setup", "--with", kind)).stdout.endswith("nothing is to be changed\n")
    start(host, place, stopping)
    assert findings(host) == (0, [])

    host.run(*poprelay("setup", "--undo"))
    assert host.files("/etc/exim4", "/var/lib/exim4") == before
    assert host.run("ls", "-A", "/etc/poprelay", check=False).stdout == ""


def put(host: Host, path: str, text: str) -> None:
    host.run("sh", "-c", 'printf %s "$0" >"$1"', text, path)


def test_setup_touches_nothing_on_a_broken_config(host: Host) -> None:
    host.run("sh", "-c", f"echo '  no such thing' >>{RCPT}")
    before = host.files("/etc/exim4", "/var/lib/exim4")
    done = host.run(*poprelay("setup", "--apply"), check=False)
    assert (done.returncode, "update-exim4.conf --check" in done.stderr) == (1, True), done.stderr
    assert host.files("/etc/exim4", "/var/lib/exim4") == before
    assert host.run("ls", "/etc/poprelay", check=False).returncode


def test_setup_puts_everything_back_where_it_cannot_be_proved(host: Host) -> None:
    before = host.files("/etc/exim4", "/var/lib/exim4")
    done = host.run(*poprelay("setup", "--apply", "--from", "127.0.0.1"), check=False)
    assert done.returncode == 1
    assert "everything was put back: a client at 127.0.0.1 may relay without us" in done.stderr
    assert host.files("/etc/exim4", "/var/lib/exim4") == before


def test_setup_opens_no_relay_that_is_open_already(host: Host) -> None:
    host.run("sed", "-i", "s/^dc_relay_nets=.*/dc_relay_nets='0.0.0.0\\/0'/", "/etc/exim4/update-exim4.conf.conf")
    host.run("update-exim4.conf")
    done = host.run(*poprelay("setup", "--apply"), check=False)
    assert (done.returncode, "a stranger may relay already: 250" in done.stderr) == (1, True), done.stderr


def test_the_doctor_finds_each_trap_and_nothing_on_a_clean_set_up(host: Host, place: Path, stopping: ExitStack) -> None:
    host.run(*poprelay("setup", "--apply"))
    start(host, place, stopping)
    assert findings(host) == (0, [])

    good = host.run("cat", RCPT).stdout
    [ours] = [block for block in good.split("\n\n") if "# poprelay" in block]
    only, condition = (
        "    !domains = +local_domains : +relay_to_domains\n",
        "{/var/lib/poprelay/spool/$sender_host_address}",
    )
    late = good.replace(f"{ours}\n\n", "").replace("  require\n    verify = recipient\n", f"{ours}\n\n  accept\n")
    greeting = "acl_check_rcpt:\n  deny condition = ${if match{$sender_helo_name}{[.]}{no}{yes}}\n"
    for text, levels, words in (
        (good.replace(ours, ""), ["fault"], "does not ask us"),
        (late, ["fault"], "asks /var/lib/poprelay/spool too late: require"),
        (
            good.replace(condition, "{/var/lib/poprelay/spool}"),
            ["danger", "danger"],
            "does not ask for the client's address",
        ),
        (good.replace(condition, "{/var/lib/poprelay/spool/$sender_helo_name}"), ["danger"], "client's address"),
        (good.replace(f"  accept\n{only}", f"  deny\n{only}"), ["fault"], "acl_check_rcpt has deny"),
        (
            good.replace("    condition = ${if exists{/var", "    !condition = ${if exists{/var"),
            ["danger"],
            "a stranger may relay",
        ),
        (good.replace("acl_check_rcpt:\n", greeting), ["note"], "'HELO printer' is told '550"),
    ):
        assert text != good, words
        put(host, RCPT, text)
        host.run("update-exim4.conf")
        code, seen = findings(host)
        assert [one["level"] for one in seen] == levels, (words, seen)
        assert any(words in one["what"] for one in seen), (words, seen)
        assert code == {"note": 0, "fault": 1, "danger": 4}[levels[0]]
    put(host, RCPT, good)
    host.run("update-exim4.conf")

    for change, back, level, words in (
        ("chmod 700 /var/lib/poprelay/spool", "chmod 755 /var/lib/poprelay/spool", "fault", "not readable"),
        ("chmod 777 /var/lib/poprelay/spool", "chmod 755 /var/lib/poprelay/spool", "danger", "may write"),
        ("sed -i '1i nonsense' /var/lib/exim4/config.autogenerated", "update-exim4.conf", "fault", "nonsense"),
        (LISTEN.format("127.0.0.1 ; ::1"), LISTEN.format(""), "note", "listens only to this host"),
    ):
        host.run("sh", "-ec", change)
        seen = findings(host)[1]
        assert [(one["level"], words in one["what"]) for one in seen] == [(level, True)], seen
        host.run("sh", "-ec", back)
    assert findings(host) == (0, [])
