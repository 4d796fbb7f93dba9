"""The main job with real servers: a login opens the relay, and time closes it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from live.clients import LOCAL, Imap, Pop3, Reader
from live.doors import DOORS, GRANTED, LMDB, POLICY, REFUSED, SOCKETMAP, Site
from live.dovecot import Dovecot
from live.network import ANN4, ANN6, BOB4
from live.rooted import PASSWORD
from live.running import until

CLIENTS: Final[dict[str, type[Reader]]] = {"pop3": Pop3, "imap": Imap}


@pytest.mark.parametrize("address", [ANN4, ANN6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("protocol", CLIENTS)
def test_a_login_opens_the_relay_at_every_door_and_time_closes_it(
    site: Site, logged: tuple[Dovecot, Path], protocol: str, address: str
) -> None:
    dovecot, log = logged
    poprelay = site.begin(log, period="3s")
    assert site.codes(address) == REFUSED

    with CLIENTS[protocol](site.network.connect(address, dovecot.ports[protocol])) as client:
        before = time.time()
        assert client.login("ann", PASSWORD)
        after = time.time()
        until(lambda: site.codes(address) == GRANTED, seconds=1.5)
        client.logout()

    [grant] = poprelay.run("list", "--json").objects()
    assert (grant["address"], grant["user"], grant["basis"]) == (address, "ann", "login")
    assert site.codes(BOB4) == REFUSED, "nobody else may"
    until(lambda: site.codes(address) == REFUSED)
    assert before + 2.0 < time.time() < after + 4.0, "a period after the login, whose stamp is a whole second"
    assert poprelay.allowed() == set()


def test_a_session_that_is_open_sees_the_grant_and_its_end(site: Site, dovecot: Dovecot) -> None:
    site.begin(dovecot.log, period="3s")
    sessions = site.sessions(ANN4)
    assert sessions.codes() == REFUSED

    site.log_in(dovecot, ANN4, "ann")

    until(lambda: sessions.codes() == GRANTED, seconds=1.5)
    until(lambda: sessions.codes() == REFUSED, seconds=4.0)


def test_a_grant_holds_while_the_session_is_open_and_ends_a_period_after_its_logout(
    site: Site, dovecot: Dovecot
) -> None:
    poprelay = site.begin(dovecot.log, period="2s")
    with Imap(site.network.connect(BOB4, dovecot.ports["imap"])) as client:
        assert client.login("bob", PASSWORD)
        client.logout()  # the log has shown now that its logouts can be joined to logins

    with Imap(site.network.connect(ANN4, dovecot.ports["imap"])) as client:
        assert client.login("ann", PASSWORD)
        until(lambda: site.codes(ANN4) == GRANTED, seconds=1.5)
        until(lambda: site.codes(BOB4) == REFUSED, seconds=4.0)
        time.sleep(1.5)
        assert site.codes(ANN4) == GRANTED, "held well after its period"
        [grant] = poprelay.run("list", "--json").objects()
        assert (grant["address"], grant["sessions"]) == (ANN4, 1)
        client.logout()

    logout = time.time()
    assert site.codes(ANN4) == GRANTED, "one period more"
    until(lambda: site.codes(ANN4) == REFUSED)
    assert logout + 0.9 < time.time() < logout + 3.0


def test_revoking_closes_the_relay_even_in_sessions_that_are_open(site: Site, dovecot: Dovecot) -> None:
    poprelay = site.begin(dovecot.log)
    sessions = site.sessions(ANN4)
    site.log_in(dovecot, ANN4, "ann")
    until(lambda: sessions.codes() == GRANTED, seconds=1.5)

    revoked = poprelay.run("revoke", "--address", ANN4, "--reason", "spam")

    assert sessions.codes() == REFUSED
    assert revoked.exit == 0, revoked
    assert poprelay.allowed() == set()

    time.sleep(1.1)  # a revocation beats what was logged in its own second
    site.log_in(dovecot, ANN4, "ann")
    until(lambda: sessions.codes() == GRANTED, seconds=1.5)


def test_mail_for_local_users_flows_while_the_daemon_is_down(site: Site, dovecot: Dovecot) -> None:
    poprelay = site.begin(dovecot.log)
    site.log_in(dovecot, ANN4, "ann")
    until(lambda: site.codes(ANN4) == GRANTED, seconds=1.5)

    assert poprelay.stop() == 0

    nobody_answers = dict.fromkeys((*SOCKETMAP, *POLICY), 451)
    assert site.codes(BOB4, LOCAL) == dict.fromkeys(DOORS, 250)
    assert site.codes(BOB4) == {**dict.fromkeys(LMDB, 554), **nobody_answers}
    assert site.codes(ANN4) == {**dict.fromkeys(LMDB, 250), **nobody_answers}, "a map outlives the daemon"

    poprelay.start()
    poprelay.settled()
    assert site.codes(ANN4) == GRANTED
    assert site.codes(BOB4) == REFUSED


def test_a_login_while_the_daemon_is_down_counts_when_it_is_back(site: Site, dovecot: Dovecot) -> None:
    poprelay = site.begin(dovecot.log)
    poprelay.kill()

    site.log_in(dovecot, ANN4, "ann")
    poprelay.start()
    poprelay.settled()

    assert site.codes(ANN4) == GRANTED


def test_while_the_daemon_catches_up_a_live_grant_counts_and_all_others_are_deferred(
    site: Site, dovecot: Dovecot
) -> None:
    poprelay = site.begin(dovecot.log)
    site.log_in(dovecot, ANN4, "ann")
    until(lambda: site.codes(ANN4) == GRANTED, seconds=3.0)
    assert poprelay.stop() == 0
    stamp = time.strftime("%b %d %H:%M:%S")
    noise = f"{stamp} imap-login: Info: Disconnected: Inactivity (no auth attempts in 180 secs): user=<>\n".encode()
    with dovecot.log.open("ab") as log:
        for _ in range(256):
            log.write(noise * 10_000)

    poprelay.start()

    outside = site.codes(BOB4)
    assert site.codes(BOB4, LOCAL) == dict.fromkeys(DOORS, 250)
    assert site.codes(ANN4) == GRANTED
    assert {door: code // 100 for door, code in outside.items()} == {
        **dict.fromkeys(LMDB, 5),
        **dict.fromkeys((*SOCKETMAP, *POLICY), 4),
    }
    poprelay.settled()
    assert site.codes(BOB4) == REFUSED
