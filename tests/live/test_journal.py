"""The journal of a real journald: each login once, whatever happens to the journal, and none that anyone made up."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from live.clients import Imap, Pop3
from live.daemon import Poprelay
from live.dovecot import HOSTILE, Dovecot
from live.following import following
from live.journald import READERS, Journald
from live.network import ANN4, ANN6, BOB4, EVE4, Network
from live.rooted import PASSWORD
from live.running import until
from poprelay.agents import catalog
from poprelay.agents.popa3d import Popa3d
from poprelay.errors import SourceError
from poprelay.scan import Scanner
from poprelay.sources import journal
from poprelay.sources.journal import JournalSource
from poprelay.sources.journalctl import Journal
from poprelay.sources.journalentries import Tags
from poprelay.sources.journaltrust import Choice

NEXT_BOOT = "11111111-2222-3333-4444-555555555555"
USERS = ("ann", "bob", HOSTILE)


@pytest.fixture
def journald(place: Path, stopping: ExitStack, monkeypatch: pytest.MonkeyPatch) -> Journald:
    journald = Journald(place / "journald")
    stopping.callback(journald.stop)
    return journald


def login(user: str) -> str:
    return f"imap-login: Login: user=<{user}>, method=PLAIN, rip={ANN4}, lip=9.9.9.9, mpid=7, session=<{user}>"


def source(
    journald: Journald, choice: Choice | None = None, *, program: Path | None = None, agent: str = "dovecot"
) -> JournalSource:
    agents = [catalog.find(agent)]
    return JournalSource(
        Journal(program=str(program or journald.journalctl)),
        Tags.of(agents),
        lambda: Scanner(agents, source="journal"),
        choice or Choice(),
    )


@pytest.fixture
def dovecot(journald: Journald, network: Network, place: Path, stopping: ExitStack) -> Dovecot:
    """Dovecot that logs to the journal."""
    dovecot = Dovecot(place / "dovecot", USERS, syslog=journald.socket)
    stopping.callback(dovecot.stop)
    return dovecot


@pytest.fixture
def poprelay(journald: Journald, place: Path, stopping: ExitStack) -> Poprelay:
    """The daemon, reading the journal; not started."""
    settings = '[relay]\nperiod = "10m"\n[[sources]]\nkind = "journal"\nagents = ["dovecot"]\n'
    poprelay = Poprelay(place / "poprelay", settings, path=str(journald.journalctl.parent))
    stopping.callback(lambda: poprelay.kill() if poprelay.running else None)
    return poprelay


def log_in(network: Network, dovecot: Dovecot, address: str, user: str, password: str = PASSWORD) -> None:
    with Pop3(network.connect(address, dovecot.ports["pop3"])) as client:
        assert client.login(user, password) == (password == PASSWORD)


def test_a_login_at_a_dovecot_that_logs_to_the_journal_opens_the_relay(
    network: Network, dovecot: Dovecot, poprelay: Poprelay
) -> None:
    poprelay.start()
    poprelay.settled()
    with Imap(network.connect(ANN4, dovecot.ports["imap"])) as client:
        assert client.login("ann", PASSWORD)
        until(lambda: poprelay.allowed() == {(ANN4, "ann")}, step=0.05)
        [grant] = poprelay.run("list", "--json").objects()
        assert grant["sessions"] == 1
        client.logout()
    log_in(network, dovecot, ANN6, "bob")
    log_in(network, dovecot, EVE4, HOSTILE, "wrong")
    until(lambda: poprelay.allowed() == {(ANN4, "ann"), (ANN6, "bob")}, step=0.05)
    [status] = poprelay.run("status", "--json").objects()
    [row] = status["sources"]
    assert (row["name"], row["state"], row["logins"], row["logouts"], row["refused"]) == (
        "journal",
        "following",
        2,
        2,
        0,
    )


def test_each_login_counts_once_whoever_of_daemon_and_journalctl_is_killed(
    network: Network, dovecot: Dovecot, poprelay: Poprelay, journald: Journald
) -> None:
    poprelay.start()
    poprelay.settled()
    log_in(network, dovecot, ANN4, "ann")
    until(lambda: poprelay.allowed() == {(ANN4, "ann")}, step=0.05)

    journald.kill_journalctl()
    log_in(network, dovecot, BOB4, "bob")
    until(lambda: poprelay.allowed() == {(ANN4, "ann"), (BOB4, "bob")}, step=0.05)

    poprelay.kill()
    journald.rotate()
    log_in(network, dovecot, ANN6, "ann")
    poprelay.start()
    poprelay.settled()
    assert poprelay.allowed() == {(ANN4, "ann"), (BOB4, "bob"), (ANN6, "ann")}
    kinds = [each["change"] for each in poprelay.run("history", "--json").objects()]
    assert sorted(kinds) == ["opened", "opened", "opened"]
    assert poprelay.stop() == 0
    until(lambda: not journald.journalctls(), what="no journalctl is left behind")


async def test_each_login_counts_once_while_the_journal_is_rotated_vacuumed_and_flushed(journald: Journald) -> None:
    server = journald.server()
    server.say(login("before"))
    journald.holds(1)

    async with following(source(journald)) as seen:
        await seen.wait("before")
        wanted = ["before"]
        for number, happens in enumerate((journald.rotate, journald.vacuum, journald.flush, journald.rotate) * 2):
            server.say(login(f"first{number}"))
            await asyncio.to_thread(happens)
            server.say(login(f"then{number}"))
            wanted += [f"first{number}", f"then{number}"]
            await seen.wait(*wanted)
        await asyncio.sleep(0.3)
        await seen.wait(*wanted)

    async with following(source(journald), seen.position) as again:
        await again.wait()
        server.say(login("after"))
        await again.wait("after")


async def test_nothing_is_lost_or_repeated_when_the_last_entry_read_has_been_vacuumed(journald: Journald) -> None:
    server = journald.server()
    server.say(login("ann"), login("bob"))
    journald.holds(2)
    async with following(source(journald)) as seen:
        await seen.wait("ann", "bob")

    journald.rotate()
    server.say(login("carl"))
    journald.holds(3)
    journald.vacuum()
    assert journald.messages() == [login("carl")]

    async with following(source(journald), seen.position) as again:
        await again.wait("carl")
        server.say(login("dora"))
        await again.wait("carl", "dora")


async def test_nothing_is_repeated_when_the_journal_has_moved_to_the_disk(
    journald: Journald, monkeypatch: pytest.MonkeyPatch
) -> None:
    journald.flush()
    journald.reboot(NEXT_BOOT)  # begins in memory again, and continues another journal on the disk
    monkeypatch.setattr(journal, "_BOOT", journald.boot_id)
    server = journald.server()
    server.say(login("ann"), login("bob"))
    journald.holds(2)
    async with following(source(journald)) as seen:
        await seen.wait("ann", "bob")

        journald.flush()
        assert list((journald.place / "var/journal").glob("*/system.journal"))
        server.say(login("carl"))
        await seen.wait("ann", "bob", "carl")
        position = seen.position
    server.say(login("dora"))
    journald.holds(4)
    async with following(source(journald), position) as again:
        await again.wait("dora")


async def test_the_last_entry_read_is_known_again_after_it_has_moved_to_the_disk(
    journald: Journald, monkeypatch: pytest.MonkeyPatch
) -> None:
    journald.flush()
    journald.reboot(NEXT_BOOT)
    monkeypatch.setattr(journal, "_BOOT", journald.boot_id)
    server = journald.server()
    server.say(login("ann"))
    journald.holds(1)
    async with following(source(journald)) as seen:
        await seen.wait("ann")
    journald.flush()
    server.say(login("bob"))
    journald.holds(2)

    async with following(source(journald), seen.position) as again:
        await again.wait("bob")


async def test_reading_goes_on_in_the_next_boot(journald: Journald, monkeypatch: pytest.MonkeyPatch) -> None:
    journald.server().say(login("ann"))
    journald.holds(1)
    async with following(source(journald)) as seen:
        await seen.wait("ann")
    journald.server().say(login("bob"))
    journald.holds(2)

    journald.reboot(NEXT_BOOT)
    monkeypatch.setattr(journal, "_BOOT", journald.boot_id)
    server = journald.server()
    server.say(login("carl"))
    journald.holds(3)

    async with following(source(journald), seen.position) as again:
        await again.wait("bob", "carl")
        server.say(login("dora"))
        await again.wait("bob", "carl", "dora")
    async with following(source(journald), again.position) as last:
        await last.wait()
        server.say(login("emma"))
        await last.wait("emma")


async def test_a_start_at_the_end_reads_only_what_comes_then(journald: Journald) -> None:
    server = journald.server()
    server.say(login("ann"))
    journald.holds(1)

    async with following(source(journald), at_end=True) as seen:
        await seen.wait()
    server.say(login("bob"))
    journald.holds(2)

    async with following(source(journald), seen.position) as again:
        await again.wait("bob")


async def test_when_journalctl_is_killed_the_position_still_holds(journald: Journald) -> None:
    server = journald.server()
    server.say(login("ann"))
    journald.holds(1)
    async with following(source(journald)) as seen:
        await seen.wait("ann")
        until(journald.journalctls)
        journald.kill_journalctl()
        assert seen.ended is not None
        with pytest.raises(SourceError, match="SIGKILL"):
            await seen.ended
    server.say(login("bob"))

    async with following(source(journald), seen.position) as again:
        await again.wait("bob")
    assert not journald.journalctls(), "none is left behind"


async def test_nobody_else_can_speak_for_a_server(journald: Journald) -> None:
    for uid in (1000, 33, 65534, 0):
        journald.logger("-t", "dovecot", login(f"logger-{uid}"), uid=uid)
    for uid in (1000, 33, 65534):
        journald.server("log", uid=uid).say(login(f"named-log-{uid}"))
    journald.server("logger").say(login("roots-logger"))
    forged = b"SYSLOG_IDENTIFIER=dovecot\n_UID=0\n_COMM=log\n_TRANSPORT=syslog\n_SYSTEMD_UNIT=dovecot.service\n"
    journald.native(forged + b"MESSAGE=" + login("native").encode() + b"\n", uid=1000)
    journald.native(b"SYSLOG_IDENTIFIER=other\n" + forged + b"MESSAGE=" + login("two-tags").encode() + b"\n")
    journald.native(forged + b"MESSAGE=x\nMESSAGE=" + login("two-messages").encode() + b"\n")
    two_lines = b"x\n" + login("two-lines").encode()
    journald.native(forged + b"MESSAGE\n" + len(two_lines).to_bytes(8, "little") + two_lines + b"\n")
    journald.logger("-t", "other", f"x\ndovecot: {login('newline')}")
    journald.server(tag="Dovecot").say(login("other-tag"))
    journald.holds(12)
    server = journald.server()
    server.say(login("ann"))
    journald.holds(13)

    one = source(journald)
    async with following(one) as seen:
        await seen.wait("ann")
    assert one.state()["refused"] == 10
    assert "user id 1000" in str(one.state()["remarks"])


async def test_an_account_may_speak_where_the_config_says_so(journald: Journald) -> None:
    journald.server("imapd", uid=33).say(login("ann"))
    journald.server("imapd", uid=65534).say(login("bob"))
    journald.holds(2)

    async with following(source(journald, Choice(uids=("33",)))) as seen:
        await seen.wait("ann")
    async with following(source(journald, Choice(uids=("33", "nobody"), commands=("pop3d",)))) as seen:
        await seen.wait()


async def test_with_units_only_their_own_processes_may_speak(journald: Journald) -> None:
    inside, outside = journald.server("imapd", uid=1000), journald.server("imapd", uid=0)
    journald.put(inside, "imap@7.service")
    journald.put(outside, "cron.service")
    inside.say(login("ann"))
    outside.say(login("bob"))
    journald.holds(2)

    async with following(source(journald, Choice(units=("imap@*.service",)))) as seen:
        await seen.wait("ann")


async def test_popa3d_may_speak_as_the_user_who_has_logged_in_but_only_from_its_own_unit(journald: Journald) -> None:
    lines = ("Session from 8.8.4.4", "Authentication passed for ann")
    inside, outside = (journald.server("popa3d", uid=1000, tag="popa3d") for _ in range(2))
    journald.put(inside, "popa3d.service")
    journald.put(outside, "user@1000.service")
    for server in (outside, inside):
        server.say(*lines)
        journald.holds(2, "popa3d")
    journald.holds(4, "popa3d")

    one = source(journald, Choice(servers=Popa3d.units), agent="popa3d")
    async with following(one) as seen:
        await seen.wait("ann")
    assert one.state()["refused"] == 2


async def test_what_journald_drops_by_its_rate_limit_is_told(journald: Journald) -> None:
    server = journald.server()
    journald.put(server, "flood.service")
    server.say(*(f"message {number}" for number in range(6000)))
    time.sleep(1.2)
    server.say(login("ann"))
    journald.holds(1, "systemd-journald")

    one = source(journald)
    async with following(one) as seen:
        await seen.wait("ann")
    suppressed = one.state()["suppressed"]
    assert isinstance(suppressed, int)
    assert suppressed + len(journald.messages()) == 6001


@pytest.mark.parametrize("shown", ["nothing", "a part"])
async def test_a_journal_that_may_not_be_read_is_an_error_with_its_remedy(journald: Journald, shown: str) -> None:
    journald.server().say(login("ann"))
    journald.holds(1)
    if shown == "a part":
        journald.rotate()
        for archived in (journald.place / "run/log/journal").glob("*/system@*.journal"):
            archived.chmod(0o644)
    outsider = journald.place / "bin/outsider"
    text = journald.journalctl.read_text()
    for gid, error in ((65534, True), (READERS, False)):
        account = f"setpriv --reuid=65534 --regid={gid} --clear-groups"
        outsider.write_text(text.replace(" /usr", f" {account} /usr"))
        outsider.chmod(0o755)
        async with following(source(journald, program=outsider)) as seen:
            if error:
                with pytest.raises(SourceError, match=r"may not read all of the journal: .* group systemd-journal"):
                    await seen.wait("ann", "nobody")
            else:
                await seen.wait("ann")
