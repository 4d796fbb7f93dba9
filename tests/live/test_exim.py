"""Exim, and each map by which it can be told."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from live.clients import LOCAL, OUTSIDE, Smtp
from live.exim import Exim
from live.feeding import Fed
from live.network import ANN4, ANN6, BOB4, BOB6, Network
from live.running import until

WAYS: Final = ("spool", "iplsearch", "hosts")
REFUSED, GRANTED = dict.fromkeys(WAYS, 550), dict.fromkeys(WAYS, 250)


class Site:
    """Exim with a door for each map, and the poprelay that keeps them."""

    def __init__(self, place: Path, network: Network, stack: ExitStack) -> None:
        maps = place / "maps"
        maps.mkdir()
        self.fed = Fed(
            place,
            f'[[maps]]\nkind = "spool"\npath = "{maps}/spool"\n'
            f'[[maps]]\nkind = "exim"\npath = "{maps}/iplsearch"\n'
            f'[[maps]]\nkind = "exim"\nformat = "hosts"\npath = "{maps}/hosts"\n',
            stack,
        )
        self.maps = maps
        self.exim = Exim(
            place / "exim",
            {
                "spool": f"condition = ${{if exists{{{maps}/spool/$sender_host_address}}}}",
                "iplsearch": f"hosts = net-iplsearch;{maps}/iplsearch",
                "hosts": f"hosts = {maps}/hosts",
            },
        )
        self._network = network
        self.fed.start()
        self.exim.start()
        stack.callback(self.exim.stop)

    def session(self, source: str, way: str) -> Smtp:
        return Smtp(self._network.connect(source, self.exim.ports[way]))

    def codes(self, source: str, recipient: str = OUTSIDE) -> dict[str, int]:
        """What each door answers a new session at RCPT."""
        found = {}
        for way in WAYS:
            with self.session(source, way) as client:
                found[way] = client.ask(recipient).code
        return found


@pytest.fixture
def site(place: Path, network: Network, stopping: ExitStack) -> Site:
    return Site(place, network, stopping)


@pytest.mark.parametrize(("address", "other"), [(ANN4, BOB4), (ANN6, BOB6)], ids=["ipv4", "ipv6"])
def test_a_login_lets_an_address_relay_for_a_period_whichever_map_exim_reads(
    site: Site, address: str, other: str
) -> None:
    assert (site.codes(address), site.codes(address, LOCAL)) == (REFUSED, GRANTED)

    site.fed.log_in(address)

    until(lambda: site.codes(address) == GRANTED, seconds=3.0)
    assert site.codes(other) == REFUSED
    until(lambda: site.codes(address) == REFUSED)
    assert site.codes(address, LOCAL) == GRANTED


def test_revoking_closes_the_relay(site: Site) -> None:
    for address in (ANN4, ANN6, BOB4):
        assert site.fed.poprelay.run("allow", address, "--for", "5m").exit == 0
    until(lambda: site.codes(ANN4) == site.codes(ANN6) == GRANTED, seconds=3.0)
    site.fed.revoke(ANN4)
    site.fed.revoke(ANN6)
    until(lambda: site.codes(ANN4) == site.codes(ANN6) == REFUSED, seconds=1.0)
    assert site.codes(BOB4) == GRANTED


def test_an_open_session_sees_a_change_but_with_iplsearch(site: Site) -> None:
    with ExitStack() as stack:
        sessions = {way: stack.enter_context(site.session(ANN4, way)) for way in WAYS}

        def codes() -> dict[str, int]:
            return {way: session.ask().code for way, session in sessions.items()}

        assert codes() == REFUSED
        site.fed.log_in(ANN4)
        until(lambda: site.codes(ANN4) == GRANTED, seconds=3.0)
        assert codes() == GRANTED | {"iplsearch": 550}
        until(lambda: site.codes(ANN4) == REFUSED)
        assert codes() == REFUSED


def test_what_exim_answers_while_the_daemon_is_gone(site: Site) -> None:
    site.fed.log_in(ANN4)
    until(lambda: site.codes(ANN4) == GRANTED, seconds=3.0)
    site.fed.poprelay.kill()
    assert site.codes(ANN4) == GRANTED, "a map outlives the daemon"
    assert (site.codes(BOB4), site.codes(BOB4, LOCAL)) == (REFUSED, GRANTED)
    time.sleep(4.0)
    assert site.fed.poprelay.run("cleanup").exit == 0
    assert site.codes(ANN4) == REFUSED


def test_without_its_file_exim_hangs_up_at_rcpt_and_cleanup_makes_it(site: Site) -> None:
    site.fed.poprelay.stop()
    for file in ("iplsearch", "hosts"):
        (site.maps / file).unlink()
        with site.session(ANN4, file) as client:
            assert client.ask().code == 421
    assert site.fed.poprelay.run("cleanup").exit == 0
    assert site.codes(ANN4) == REFUSED


def test_a_whole_ipv6_network_relays_where_the_config_grants_it(
    place: Path, network: Network, stopping: ExitStack
) -> None:
    maps = place / "maps"
    maps.mkdir()
    files = {"iplsearch": f"hosts = net-iplsearch;{maps}/iplsearch", "hosts": f"hosts = {maps}/hosts"}
    fed = Fed(
        place,
        f'[[maps]]\nkind = "exim"\npath = "{maps}/iplsearch"\n'
        f'[[maps]]\nkind = "exim"\nformat = "hosts"\npath = "{maps}/hosts"\n',
        stopping,
        rules="ipv6_prefix = 64",
    )
    exim = Exim(place / "exim", files)
    fed.start()
    exim.start()
    stopping.callback(exim.stop)

    def codes(source: str) -> list[int]:
        found = []
        for port in exim.ports.values():
            with Smtp(network.connect(source, port)) as client:
                found.append(client.ask().code)
        return found

    assert codes(BOB6) == [550, 550]
    fed.log_in(ANN6)
    until(lambda: codes(BOB6) == [250, 250], seconds=3.0, what="Bob's is in the same /64")
    until(lambda: codes(BOB6) == [550, 550])
