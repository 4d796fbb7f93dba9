"""`poprelay setup` and `poprelay doctor` on a Sendmail as Debian installs it, but for that it listens to others."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from live.examined import findings, log_in, start
from live.host import Host
from live.installed import poprelay
from live.installed_sendmail import sendmail
from live.network import Network

MC, CF = "/etc/mail/sendmail.mc", "/etc/mail/sendmail.cf"


@pytest.fixture
def host(place: Path, network: Network, stopping: ExitStack) -> Host:
    host = sendmail(place / "host")
    stopping.callback(host.stop)
    log_in(host)
    return host


def setup(host: Host, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The command, which finds `ip`."""
    return host.run(
        "sh", "-c", 'PATH=/var/poprelay-live:$PATH; exec "$0" "$@"', *poprelay("setup", *words), check=check
    )


def state(host: Host) -> dict[str, tuple[str, bytes]]:
    return host.files("/etc/mail")


@pytest.mark.parametrize("kind", ["socketmap", "popauth", "access", "relay-domains"])
def test_setup_changes_proves_and_takes_back(host: Host, kind: str, place: Path, stopping: ExitStack) -> None:
    before = state(host)
    shown = setup(host, "--with", kind).stdout
    assert ("+++ /etc/mail/sendmail.mc" in shown) == (kind != "access")
    assert state(host) == before

    said = setup(host, "--with", kind, "--apply").stdout
    assert "a client at 203.0.113.254 is refused: " in said
    assert "it is accepted: 250" in said
    assert "it is refused again: " in said
    assert setup(host, "--with", kind).stdout.endswith("nothing is to be changed\n")
    if kind == "access":
        setup(host, "--with", kind, "--apply")
    if kind == "popauth":
        start(host, place, stopping)
        assert findings(host) == (0, [])

    setup(host, "--undo")
    assert state(host) == before
    assert host.run("ls", "-A", "/etc/poprelay", check=False).stdout == ""


def make(host: Host, mc: str) -> None:
    """Write sendmail.mc, and make sendmail.cf of it."""
    host.run("sh", "-ec", f'printf %s "$0" >{MC}; m4 {MC} >{CF}', mc)


def test_setup_touches_nothing_on_a_broken_config(host: Host) -> None:
    host.run("sh", "-c", f"echo 'Zno such thing' >>{CF}")
    before = state(host)
    done = setup(host, "--apply", check=False)
    assert (done.returncode, "unknown configuration line" in done.stderr) == (1, True), done.stderr
    assert state(host) == before
    assert host.run("ls", "/etc/poprelay", check=False).returncode


def test_setup_loses_nothing_that_was_written_into_the_made_config_by_hand(host: Host) -> None:
    host.run("sed", "-i", "s/^O PrivacyOptions=.*/O PrivacyOptions=goaway/", CF)
    done = setup(host, "--apply", check=False)
    assert (done.returncode, "sendmail.cf is not what /etc/mail/sendmail.mc makes" in done.stderr) == (1, True)


def test_setup_leaves_rulesets_of_a_persons_own_alone(host: Host) -> None:
    make(host, host.run("cat", MC).stdout + "LOCAL_RULESETS\nSLocal_Relay_Auth\nR$*\t$: NO\n")
    done = setup(host, check=False)
    assert (done.returncode, "of its own" in done.stderr) == (1, True), done.stderr


def test_setup_puts_everything_back_where_it_cannot_be_proved(host: Host) -> None:
    before = state(host)
    done = setup(host, "--with", "popauth", "--apply", "--from", "127.0.0.1", check=False)
    assert done.returncode == 1
    assert "everything was put back: a client at 127.0.0.1 may relay without us" in done.stderr
    assert state(host) == before


def test_what_a_person_says_in_the_access_database_holds_against_a_grant(host: Host) -> None:
    host.run("sh", "-ec", "cd /etc/mail; echo 'Connect:203.0.113.254 REJECT' >>access; makemap hash access <access")
    before = state(host)
    done = setup(host, "--with", "access", "--apply", check=False)
    assert "everything was put back: a client at 203.0.113.254 with a grant is told: 550" in done.stderr, done.stderr
    assert state(host) == before


def test_the_doctor_finds_each_trap_and_nothing_on_a_clean_set_up(host: Host, place: Path, stopping: ExitStack) -> None:
    setup(host, "--apply")
    start(host, place, stopping)
    assert findings(host) == (0, [])

    good = host.run("cat", MC).stdout
    ours = good[good.index("dnl # poprelay") :]
    auth = ours[: ours.index("SLocal_check_rcpt\n")]

    def featuring(name: str) -> str:
        return good.replace("MAILER_DEFINITIONS\n", f"FEATURE(`{name}')dnl\nMAILER_DEFINITIONS\n")

    for text, levels, words in (
        (good.replace(ours, ""), ["fault"], "Sendmail does not ask us"),
        (good.replace(ours, auth), ["note"], "in Local_Relay_Auth only"),
        (good.replace("SLocal_Relay_Auth\n", "SNobody_asks_this\n"), ["fault"], "Local_Relay_Auth does not ask it"),
        (good.replace("$# RELAY", "RELAY"), ["fault"], "does not end with $# RELAY"),
        (good.replace("$(poprelay $&{client_addr}", "$(poprelay $&{client_name}", 1), ["danger"], "something else"),
        (good.replace("R$* <POPRELAY>", "R$*"), ["danger"], "a stranger may relay"),
        (featuring("promiscuous_relay"), ["danger", "danger"], "promiscuous_relay"),
        (featuring("relay_local_from"), ["danger"], "relay_local_from"),
        (featuring("relay_entire_domain"), ["note"], "relay_entire_domain"),
        (good.replace("Name=MTA-v4, Port=smtp", "Name=MTA-v4, Port=smtp, Addr=127.0.0.1").replace(
            "Port=submission, M=Ea", "Port=submission, M=Ea, Addr=127.0.0.1"), ["note"], "listens only to this host"),
    ):  # fmt: skip
        assert text != good, words
        make(host, text)
        code, seen = findings(host)
        assert [one["level"] for one in seen] == levels, (words, seen)
        assert any(words in one["what"] for one in seen), (words, seen)
        assert code == {"note": 0, "fault": 1, "danger": 4}[levels[0]]
    make(host, good)

    socket = "/var/lib/poprelay/sendmail/socketmap"
    for change, back, level, words in (
        ("chmod 777 /etc/mail", "chmod 2755 /etc/mail", "fault", "World writable directory"),
        ("chmod 2775 /etc/mail", "chmod 2755 /etc/mail", "fault", "Group writable directory"),
        ("chmod 646 /etc/mail/access", "chmod 640 /etc/mail/access", "danger", "may write /etc/mail/access"),
        ("touch -d tomorrow /etc/mail/access", "touch -d yesterday /etc/mail/access", "note", "access.db is older"),
        (
            "touch -d tomorrow /etc/mail/sendmail.mc",
            "touch -d yesterday /etc/mail/sendmail.mc",
            "note",
            "is older than",
        ),
        (f"mv {socket} {socket}.gone", f"mv {socket}.gone {socket}", "fault", "socketmap is missing"),
        (f"cp {CF} {CF}.good; echo Znonsense >>{CF}", f"mv {CF}.good {CF}", "fault", "Znonsense"),
    ):
        host.run("sh", "-ec", change)
        seen = findings(host)[1]
        assert [(one["level"], words in one["what"]) for one in seen] == [(level, True)], seen
        host.run("sh", "-ec", back)
    assert findings(host) == (0, [])


def test_the_doctor_finds_what_is_wrong_with_the_access_database(host: Host, place: Path, stopping: ExitStack) -> None:
    setup(host, "--with", "access", "--apply")
    host.run("sh", "-c", "sed -i 's/^root = .*/makemap = \"makemap\"/' /etc/poprelay/poprelay.toml")
    start(host, place, stopping)
    host.run(*poprelay("allow", "8.8.8.8"))
    seen = findings(host)[1]
    assert [("does not have 8.8.8.8" in one["what"], one["level"]) for one in seen] == [(True, "fault")], seen
    make(host, host.run("cat", MC).stdout.replace("FEATURE(`access_db', , `skip')", ""))
    assert "has no access database" in findings(host)[1][0]["what"]
