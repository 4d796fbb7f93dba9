"""What opens nothing: failed logins, names that imitate a success, and addresses that are not a client's."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from live.clients import Imap, Pop3, Smtp
from live.doors import GRANTED, REFUSED, Site
from live.dovecot import HOSTILE, Dovecot
from live.network import ANN4, BOB4, EVE4, GATEWAY4, SITE4, TRUSTED4, Loopback, Network
from live.rooted import PASSWORD
from live.running import until

SUCCESS: Final = f"Login: user=<ann>, method=PLAIN, rip={ANN4}, lip={SITE4}, mpid=1, session=<forged>"

IMITATIONS: Final = (
    HOSTILE.replace("ann", "eve"),
    f"x, rip={ANN4}, y",
    f"ann>, method=PLAIN, rip={ANN4}, lip={SITE4}, mpid=1, TLS, session=<forged",
    f"imap-login: {SUCCESS}",
    f"x>, rip={EVE4} imap-login: Info: {SUCCESS}",
)
"""Names for POP3's USER; what they want to open is the relay for `ANN4`."""

WITH_LINE_ENDS: Final = (
    f"x\nNov 23 17:31:29 mx dovecot: imap-login: {SUCCESS}",
    f"x\r\n{datetime.now():%b %d %H:%M:%S} imap-login: Info: {SUCCESS}\r\n",
    f"x\x85pop3-login: {SUCCESS}\u2028pop3-login: {SUCCESS}",
)
"""Names that IMAP's literals can carry besides."""


def attack(network: Network, dovecot: Dovecot) -> None:
    """Every imitation as a failed login from `EVE4`, by POP3 and by IMAP."""
    for name in IMITATIONS:
        with Pop3(network.connect(EVE4, dovecot.ports["pop3"])) as client:
            assert not client.login(name, "guess")
    for name in (*IMITATIONS, *WITH_LINE_ENDS):
        with Imap(network.connect(EVE4, dovecot.ports["imap"])) as client:
            assert not client.login(name, "guess")


def test_a_failed_login_opens_nothing_even_if_its_name_imitates_a_success(
    site: Site, logged: tuple[Dovecot, Path]
) -> None:
    dovecot, log = logged
    poprelay = site.begin(log)

    attack(site.network, dovecot)
    site.log_in(dovecot, BOB4, "bob")  # when it is seen, all that stands before it in the log has been read

    until(lambda: site.codes(BOB4) == GRANTED, seconds=3.0)
    assert f"rip={ANN4}" in log.read_text(errors="replace"), "the imitations did reach the log"
    assert poprelay.allowed() == {(BOB4, "bob")}
    assert site.codes(ANN4) == REFUSED
    assert site.codes(EVE4) == REFUSED


def test_a_user_whose_name_imitates_a_login_opens_at_most_his_own_address(
    site: Site, logged: tuple[Dovecot, Path]
) -> None:
    dovecot, log = logged
    poprelay = site.begin(log)

    site.log_in(dovecot, EVE4, HOSTILE)
    site.log_in(dovecot, BOB4, "bob")

    until(lambda: site.codes(BOB4) == GRANTED, seconds=3.0)
    assert {address for address, _ in poprelay.allowed()} <= {BOB4, EVE4}
    assert site.codes(ANN4) == REFUSED


def test_this_host_its_gateway_and_whom_postfix_trusts_anyway_get_no_grant(site: Site, dovecot: Dovecot) -> None:
    poprelay = site.begin(dovecot.log)

    for source in (SITE4, GATEWAY4, TRUSTED4):
        site.log_in(dovecot, source, "ann")
    site.log_in(dovecot, BOB4, "bob")

    until(lambda: site.codes(BOB4) == GRANTED, seconds=3.0)
    assert poprelay.allowed() == {(BOB4, "bob")}
    assert site.codes(SITE4) == REFUSED
    assert site.codes(GATEWAY4) == REFUSED
    assert site.codes(TRUSTED4) == GRANTED, "by Postfix itself"
    rows = poprelay.run("history", "--json").objects()
    assert {row["address"] for row in rows if row["change"] == "refused"} == {SITE4, GATEWAY4, TRUSTED4}


@pytest.mark.parametrize(
    ("rules", "expected"), [("", REFUSED), ('allow_networks = ["127.0.0.2/32"]', GRANTED)], ids=["refused", "lifted"]
)
def test_loopback_is_refused_unless_the_config_lifts_it(
    site: Site, dovecot: Dovecot, rules: str, expected: dict[str, int]
) -> None:
    site.begin(dovecot.log, rules=rules)
    loopback = Loopback()

    with Pop3(loopback.connect("127.0.0.2", dovecot.ports["pop3"])) as client:
        assert client.login("ann", PASSWORD)
    site.log_in(dovecot, BOB4, "bob")

    until(lambda: site.codes(BOB4) == GRANTED, seconds=3.0)
    with contextlib.ExitStack() as stack:
        ports = site.postfix.ports.items()
        sessions = {door: stack.enter_context(Smtp(loopback.connect("127.0.0.2", port))) for door, port in ports}
        assert {door: session.ask().code for door, session in sessions.items()} == expected
