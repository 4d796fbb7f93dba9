"""`poprelay setup` and `poprelay doctor` on OpenSMTPD, Courier, and tcpserver as qmail has it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from live import installed_others
from live.examined import findings, log_in, start
from live.host import Host
from live.installed import poprelay
from live.network import Network, listening
from live.running import until


class Kind(NamedTuple):
    """How an MTA is installed, where its files are, and what it answers to strangers; how its config is broken."""

    install: Callable[[Path, ExitStack], Host]
    files: tuple[str, ...]
    refuses: int
    broken: str
    complaint: str


KINDS: Final = {
    "opensmtpd": Kind(
        installed_others.opensmtpd, ("/etc/smtpd.conf",), 550, "echo nonsense >>/etc/smtpd.conf", "smtpd -n"
    ),
    "courier": Kind(
        installed_others.courier,
        ("/etc/courier",),
        513,
        r"printf '10\tallow\n' >/etc/courier/smtpaccess/twice",
        "makedat",
    ),
    "qmail": Kind(
        installed_others.qmail, ("/etc/tcp.smtp", "/etc/tcp.smtp.cdb"), 553, "echo nonsense >>/etc/tcp.smtp", "nonsense"
    ),
}


def installed(name: str, place: Path, stopping: ExitStack) -> Host:
    host = KINDS[name].install(place / "host", stopping)
    until(lambda: listening(25), what="it listens")  # some say that they are started before they do
    log_in(host)
    return host


@pytest.fixture(params=KINDS)
def named(request: pytest.FixtureRequest, place: Path, network: Network, stopping: ExitStack) -> tuple[Kind, Host]:
    return KINDS[request.param], installed(request.param, place, stopping)


@pytest.mark.parametrize(("name", "kind"), [(name, "") for name in KINDS] + [("opensmtpd", "sqlite")])
def test_setup_changes_proves_and_takes_back(
    name: str, kind: str, place: Path, network: Network, stopping: ExitStack
) -> None:
    host = installed(name, place, stopping)
    words = ("setup", name, *(("--with", kind) if kind else ()))
    before = host.files(*KINDS[name].files)
    assert "+kind = " in host.run(*poprelay(*words)).stdout
    assert host.files(*KINDS[name].files) == before

    said = host.run(*poprelay(*words, "--apply")).stdout
    assert "it is accepted: 250" in said
    assert f"refused again: {KINDS[name].refuses}" in said
    assert host.run(*poprelay(*words)).stdout.endswith("nothing is to be changed\n")
    assert host.run(*poprelay(*words, "--apply")).stdout.count("it is accepted") == 1

    host.run(*poprelay("setup", "--undo"))
    assert host.files(*KINDS[name].files) == before
    assert host.run("ls", "-A", "/etc/poprelay", check=False).stdout == ""


def test_setup_touches_nothing_on_a_broken_config(named: tuple[Kind, Host]) -> None:
    kind, host = named
    host.run("sh", "-c", kind.broken)
    before = host.files(*kind.files)
    done = host.run(*poprelay("setup", "--apply"), check=False)
    assert (done.returncode, kind.complaint in done.stderr) == (1, True), done.stderr
    assert host.files(*kind.files) == before
    assert host.run("ls", "/etc/poprelay", check=False).returncode


def test_setup_puts_everything_back_where_it_cannot_be_proved(named: tuple[Kind, Host]) -> None:
    kind, host = named
    before = host.files(*kind.files)
    done = host.run(*poprelay("setup", "--apply", "--from", "127.0.0.1"), check=False)
    assert done.returncode == 1
    assert "everything was put back: a client at 127.0.0.1 may relay without us" in done.stderr
    assert host.files(*kind.files) == before
    assert host.run("ls", "-A", "/etc/poprelay", check=False).stdout == ""


@pytest.mark.parametrize(
    ("name", "file", "line", "made"),
    [
        ("courier", "/etc/courier/smtpaccess/default", r"172.16\tdeny", "/etc/courier/smtpaccess.dat"),
        ("qmail", "/etc/tcp.smtp", "172.16.:deny", "/etc/tcp.smtp.cdb"),
    ],
)
def test_what_a_person_has_written_since_holds_when_it_is_taken_back(
    name: str, file: str, line: str, made: str, place: Path, network: Network, stopping: ExitStack
) -> None:
    host = installed(name, place, stopping)
    host.run(*poprelay("setup", "--apply"))
    host.run("sh", "-ec", f"printf '{line}\\n' >>{file}")
    host.run(*poprelay("setup", "--undo"))
    content = host.files(made)[made][1]
    assert (b"172.16" in content, b"8.8.4.4" in content) == (True, False)


def test_courier_may_have_one_file_in_the_directorys_place(place: Path, network: Network, stopping: ExitStack) -> None:
    host = installed("courier", place, stopping)
    host.run("sh", "-ec", f"mv {ACCESS} /run/access; cat /run/access/default >{ACCESS}; makesmtpaccess")
    before = host.files("/etc/courier")
    assert "it is accepted: 250" in host.run(*poprelay("setup", "--apply")).stdout
    start(host, place, stopping)
    assert findings(host) == (0, [])
    host.run(*poprelay("setup", "--undo"))
    assert host.files("/etc/courier") == before


def test_opensmtpd_asks_before_it_rejects_strangers(place: Path, network: Network, stopping: ExitStack) -> None:
    host = installed("opensmtpd", place, stopping)
    host.run("sh", "-ec", f"echo 'match !from src {{ 192.0.2.7 }} for any reject' >>{SMTPD}")
    assert "it is accepted: 250" in host.run(*poprelay("setup", "--apply")).stdout
    assert host.run("tail", "-n", "2", SMTPD).stdout == (
        'match from src <poprelay> for any action "relay"\nmatch !from src { 192.0.2.7 } for any reject\n'
    )


def test_a_daemon_that_runs_already_is_told_and_the_doctor_finds_nothing(
    named: tuple[Kind, Host], place: Path, stopping: ExitStack
) -> None:
    _, host = named
    config = '[relay]\nperiod = "30m"\n[[sources]]\nkind = "file"\npath = "/var/log/mail.log"\nagents = ["dovecot"]\n'
    host.run("sh", "-ec", 'mkdir -p /etc/poprelay; printf %s "$0" >/etc/poprelay/poprelay.toml', config)
    host.run("sh", "-ec", "mkdir -p /var/lib/poprelay/private; chown -R poprelay /var/lib/poprelay")
    start(host, place, stopping)
    said = host.run(*poprelay("setup", "--apply")).stdout
    assert "has read the config again" in said
    assert "it is accepted: 250" in said
    assert findings(host) == (0, [])


SMTPD: Final = "/etc/smtpd.conf"
ACCESS: Final = "/etc/courier/smtpaccess"
COPY: Final = f"{ACCESS}/poprelay"
RULES: Final = "/etc/tcp.smtp"
CONNECT: Final = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/25; read -ru 3'"
"""couriertcpd, once told, opens the new database for the next connection."""
MAKEDAT: Final = f"{CONNECT}; makedat -src={ACCESS} -file={ACCESS}.dat -tmp={ACCESS}.tmp -cidr"
ROOT: Final = "sed -i 's/^name = .*/name = \"other\"/' /etc/poprelay/root.toml"
CLOSE: Final = "chmod 600 /var/lib/poprelay/{}"
OPEN: Final = "chmod 777 /var/lib/poprelay"


def rule(change: str) -> str:
    """A change to the rule of ours, or to what stands before it."""
    return f"sed -i '/^match from src/s/{change}/' {SMTPD}"


def line(text: str, file: str) -> str:
    return f"printf '{text}\\n' >>{file}"


Trap = tuple[str, str, str]
"""What is done, the level of what is found then, and a part of it."""
TRAPS: Final[dict[str, tuple[Trap, ...]]] = {
    "opensmtpd": (
        (rule(".*/"), "fault", "does not ask us"),
        (rule("^/match from any for any reject\\n&"), "fault", "it stands behind match from any for any reject"),
        (rule("^/match from any for any action relay\\n&"), "danger", "strangers may relay"),
        (rule('^/match mail-from "@site.test" from any for any action relay\\n&'), "danger", "by what they choose"),
        (rule("from src/!&"), "danger", "those who are not in our table"),
        (rule("for any/for local"), "fault", "it is not for any"),
        (rule('"relay"/"local"'), "fault", "the action local does not relay"),
        (rule("^/match from src { 10.1 } for any action relay\\n&"), "note", "10.1, which is read as 10.1.0.0/16"),
        (rule("^/match from src 0.0.0.0\\/0 for any action relay\\n&"), "danger", "every address"),
        (rule("^/table s socketmap:\\/run\\/s\\nmatch from src <s> for any action relay\\n&"), "fault", "a socketmap"),
        (f"touch -d '1 hour' {SMTPD}", "fault", "was changed after smtpd has started"),
        (": >/var/lib/poprelay/relay", "fault", "is empty"),
        ("rm /var/lib/poprelay/relay", "fault", "is missing"),
        (OPEN, "danger", "may write"),
        (ROOT, "fault", "no command opensmtpd"),
    ),
    "courier": (
        (line("RELAYCLIENT=", "/etc/courier/esmtpd"), "danger", "sets RELAYCLIENT"),
        (line(r":2001:db8::7\tallow", f"{ACCESS}/default"), "fault", ":2001:db8::7 never matches"),
        (line(r"10\tdeny", f"{ACCESS}/default"), "fault", "10 is there 2 times"),
        (f"touch -d '1 hour' {ACCESS}/default", "fault", "is older than"),
        (f"rm {ACCESS}.dat", "fault", "No such file"),
        (MAKEDAT, "fault", "that was replaced"),
        (f"rm {COPY}", "fault", "does not ask us"),
        (line(r"192.0.2.9\tallow,RELAYCLIENT", COPY), "fault", f"{COPY} does not say what"),
        ("rm /var/lib/poprelay/poprelay", "fault", "is missing"),
        (OPEN, "danger", "may write"),
        (ROOT, "fault", "no command courier"),
        (
            "rm /usr/share/perl5/Net/CIDR.pm; " + line(r"172.16.0.0/12\tallow,RELAYCLIENT", f"{ACCESS}/default"),
            "fault",
            "172.16.0.0/12 is ignored",
        ),
    ),
    "qmail": (
        (line(':allow,RELAYCLIENT=""', RULES), "danger", "everybody may relay"),
        (line("10.0.0:allow", RULES), "fault", "a network ends with a dot"),
        (line("10.0.0.0/8:allow", RULES), "fault", "no lengths"),
        (line("[2001:db8::7]:allow", RULES), "fault", "never matches"),
        (line("192.0.2.7 allow", RULES), "fault", "is no rule"),
        ("sed -i '2iexport RELAYCLIENT=' /etc/service/qmail-smtpd/run", "danger", "sets RELAYCLIENT"),
        (f"rm {RULES}.cdb", "fault", "No such file"),
        (f": >{RULES}.cdb", "fault", "is empty"),
        (f"touch -d '1 hour' {RULES}", "fault", "is older than"),
        (f"tcprules {RULES}.cdb {RULES}.tmp <{RULES}", "fault", "does not ask us"),
        ("rm /var/lib/poprelay/tcp.smtp", "fault", "is missing"),
        (OPEN, "danger", "may write"),
        (ROOT, "fault", "no command qmail"),
    ),
}
_KEEP: Final = "mkdir /run/good; cp -a --parents {} /etc/poprelay /etc/service /var/lib/poprelay /run/good || true"
_BACK: Final = f"cp -a /run/good/. /; test ! -e {ACCESS}.dat || makesmtpaccess"
_AGE: Final = f"touch -d '1 minute ago' {SMTPD} {ACCESS} {ACCESS}/* {RULES} /var/lib/poprelay/* 2>&- || true"
"""What is changed here is as old as if the MTA had seen it."""


@pytest.mark.parametrize("name", KINDS)
def test_the_doctor_finds_each_trap(name: str, place: Path, network: Network, stopping: ExitStack) -> None:
    host = installed(name, place, stopping)
    host.run(*poprelay("setup", "--apply"))
    host.run("sh", "-c", f"{_AGE}; {_KEEP.format(' '.join(KINDS[name].files))}")
    for change, level, words in TRAPS[name]:
        host.run("sh", "-ec", f"{change if 'touch' in change else f'{change}; {_AGE}'}")
        _, seen = findings(host)
        seen = [one for one in seen if one["about"] != "poprelay"]  # that it does not run
        assert [(one["level"], words in f"{one['what']}; {one['why']}") for one in seen] == [(level, True)], (
            change,
            seen,
        )
        host.run("sh", "-c", _BACK)
