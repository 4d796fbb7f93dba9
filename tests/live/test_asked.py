"""Exim, Sendmail and Postfix' tcp: table, each asking in its own way: who is let through, and when nobody answers."""

from __future__ import annotations

import asyncio
import socket
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from live.asked import WAYS, Site, Way
from live.clients import LOCAL, OUTSIDE
from live.feeding import Fed
from live.flicker import flickering
from live.network import ANN4, ANN6, BOB4, BOB6, Network
from live.running import until
from poprelay.config.section import Section
from poprelay.daemon.kinds import find_kind
from poprelay.model import Absent, Address, Allowed, Grant, Outcome, Unavailable
from poprelay.services import Find

PERIOD: Final = 4.0
CHANGES: Final = 2_000
"""Grants and revokes in a row."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def fed(way: Way, place: Path, network: Network, stopping: ExitStack) -> Fed:
    """The daemon with that service."""
    fed = Fed(place, way.configured(place), stopping, period=PERIOD)
    fed.start()
    return fed


@pytest.fixture
def site(way: Way, place: Path, network: Network, stopping: ExitStack) -> Site:
    """The MTA that asks it."""
    return Site(way, network, way.start(place, stopping))


def test_a_login_lets_an_address_relay_for_a_period_and_a_revoke_ends_it(fed: Fed, site: Site) -> None:
    no = site.way.refuses
    for address, other in ((ANN4, BOB4), (ANN6, BOB6)):
        assert (site.code(address), site.code(address, LOCAL)) == (no, 250)
        fed.log_in(address)
        until(lambda address=address: site.code(address) == 250, seconds=3.0)  # type: ignore[misc]
        assert site.code(other) == no
        fed.revoke(address)
        assert site.code(address) == no
    time.sleep(1.1)  # a revocation beats the logins of its second
    fed.log_in(BOB4)
    until(lambda: site.code(BOB4) == 250, seconds=3.0)
    until(lambda: site.code(BOB4) == no, seconds=PERIOD + 2)


def test_an_open_session_sees_the_grant_and_its_end(fed: Fed, site: Site) -> None:
    with site.session(ANN4) as session:
        assert session.ask().code == site.way.refuses
        fed.log_in(ANN4)
        until(lambda: session.ask().code == 250, seconds=3.0)
        fed.revoke(ANN4)
        assert session.ask().code == site.way.refuses


def test_without_the_daemon_local_mail_flows_and_the_rest_is_deferred_until_it_is_back(fed: Fed, site: Site) -> None:
    fed.log_in(ANN4)
    until(lambda: site.code(ANN4) == 250, seconds=3.0)
    fed.poprelay.kill()

    assert site.code(BOB4, LOCAL) == 250
    asked = time.monotonic()
    assert site.code(BOB4) == 451, "even with a grant that the dead daemon gave"
    assert (time.monotonic() - asked < 1.0) == site.way.at_once, (
        "policy tries again after a second, tcp_table(5) for nine"
    )

    fed.start()
    assert (site.code(ANN4), site.code(BOB4)) in ((250, site.way.refuses), (site.way.refuses, site.way.refuses))


@asynccontextmanager
async def answering(way: Way, place: Path, find: Find, **settings: object) -> AsyncIterator[None]:
    """The service as its config has it, on a ledger of the test's own."""
    [spec] = tomllib.loads(way.configured(place))["services"]
    service = find_kind("service", spec["kind"]).from_section(Section({**spec, **settings}, ("services", 0), []))
    await service.start(find)
    yield
    await service.stop()


async def test_cannot_tell_defers_the_outside_and_lets_local_mail_flow(way: Way, place: Path, site: Site) -> None:
    def find(address: Address) -> Outcome:
        if address == ANN4:
            return Allowed((Grant(address, "ann", "login", 0.0, 60.0, 0.0, 0.0, 60.0, "dovecot"),))
        return Unavailable("starting up") if address in (BOB4, BOB6) else Absent()

    async with answering(way, place, find):
        codes = [
            await asyncio.to_thread(site.code, address, recipient)
            for address in (ANN4, ANN6, BOB4, BOB6)
            for recipient in (OUTSIDE, LOCAL)
        ]
    assert codes == [250, 250, way.refuses, 250, way.defers, 250, way.defers, 250]


def test_sendmail_defers_no_mail_for_the_domains_that_it_relays_for(
    place: Path, network: Network, stopping: ExitStack
) -> None:
    way = WAYS["sendmail socketmap"]
    site = Site(way, network, way.start(place, stopping))
    assert [site.code(BOB4, recipient) for recipient in ("ann@backup.test", OUTSIDE, LOCAL)] == [250, 451, 250]


async def test_exim_defers_whom_there_is_no_room_to_answer(place: Path, network: Network, stopping: ExitStack) -> None:
    way = WAYS["exim readsocket"]
    site = Site(way, network, way.start(place, stopping))
    async with answering(way, place, lambda address: Absent(), max_connections=1):
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(place / "asked"))
            await asyncio.sleep(0.05)
            assert await asyncio.to_thread(site.code, ANN4) == 451
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(site.code, ANN4) == 550


def test_exim_waits_two_seconds_for_a_daemon_that_hangs(place: Path, network: Network, stopping: ExitStack) -> None:
    way = WAYS["exim readsocket"]
    site = Site(way, network, way.start(place, stopping))
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(place / "asked"))
        (place / "asked").chmod(0o666)
        deaf.listen()
        asked = time.monotonic()
        assert site.code(ANN4) == 451
        assert 1.0 < time.monotonic() - asked < 4.0
        assert site.code(ANN4, LOCAL) == 250


def test_not_one_answer_is_wrong_while_grants_come_and_go(fed: Fed, site: Site) -> None:
    with flickering(fed.poprelay, ANN4, CHANGES) as flicker:
        while flicker.is_alive():
            with site.session(ANN4) as session:
                for _ in range(500):  # of a thousand, Exim would let the session end
                    flicker.judge(lambda session=session: session.ask().code)  # type: ignore[misc]
    flicker.was_always_right(refuses=site.way.refuses, at_least=100)
