"""Sendmail, OpenSMTPD and Courier, told by a file and a command: ours, or root's part's."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from live.clients import LOCAL, OUTSIDE
from live.flicker import flickering
from live.network import ANN4, ANN6, BOB4, BOB6, EVE4, Network
from live.opensmtpd import Opensmtpd
from live.running import until
from live.told import EACH_KIND, WAYS
from poprelay.config.section import Section
from poprelay.maps.opensmtpd import OpensmtpdMap

CHANGES: Final = 2_000
TURNS: Final = {"courier": 16, "postfix cidr": 10, "postfix texthash": 10}
"""How often one address comes and goes; with each turn others come, and those of two turns before go."""


@pytest.mark.parametrize("way", WAYS)
def test_logins_open_the_relay_and_revoking_and_time_close_it(
    way: str, place: Path, network: Network, stopping: ExitStack
) -> None:
    told = WAYS[way](place, network, stopping)
    everybody = (ANN4, ANN6, BOB4, BOB6)

    def codes(recipient: str = OUTSIDE) -> list[int]:
        return [told.code(address, recipient) for address in everybody]

    yes, no = 250, told.refuses
    assert codes() == [no, no, no, no]
    assert codes(LOCAL) == [yes, yes, yes, yes]

    for address in (ANN4, ANN6, BOB4):
        told.fed.log_in(address)
    until(lambda: codes() == [yes, yes, yes, no], seconds=3.5)

    told.fed.revoke(BOB4)
    until(lambda: codes() == [yes, yes, no, no], seconds=2.9)
    until(lambda: codes() == [no, no, no, no])
    assert codes(LOCAL) == [yes, yes, yes, yes]


@pytest.mark.parametrize("way", EACH_KIND)
def test_a_map_outlives_the_daemon_until_cleanup_takes_out_what_has_ended(
    way: str, place: Path, network: Network, stopping: ExitStack
) -> None:
    told = EACH_KIND[way](place, network, stopping)
    yes, no = 250, told.refuses
    allowed = told.fed.poprelay.run("allow", ANN4, "--for", "3s")
    assert allowed.exit == 0, allowed
    until(lambda: told.code(ANN4) == yes)
    told.fed.poprelay.kill()
    time.sleep(3.0)
    assert [told.code(ANN4), told.code(BOB4), told.code(BOB4, LOCAL)] == [yes, no, yes]
    cleaned = told.fed.poprelay.run("cleanup")
    assert cleaned.exit == 0, cleaned
    until(lambda: told.code(ANN4) == no, seconds=1.0 + told.lag)
    assert told.code(BOB4, LOCAL) == yes


@pytest.mark.parametrize("way", EACH_KIND)
def test_not_one_answer_is_wrong_while_two_thousand_grants_come_and_go(
    way: str, place: Path, network: Network, stopping: ExitStack
) -> None:
    told = EACH_KIND[way](place, network, stopping)
    turns = TURNS.get(way, 50)
    crowd = CHANGES // 2 // turns

    def others_come_and_go(turn: int) -> None:
        for number in range(crowd):
            address = f"45.{turn}.7.{number}" if number % 2 else f"2a01:4f8:{turn:x}::{number + 1:x}"
            told.fed.log_in(address, f"user{turn}")
        if turn >= 2:
            flicker.ask("revoke", user=f"user{turn - 2}")

    assert told.fed.poprelay.run("allow", BOB6, "--for", "10m").exit == 0
    until(lambda: told.code(BOB6) == 250)
    always, never = 250, told.refuses
    with flickering(told.fed.poprelay, ANN4, turns, lag=told.lag, between=others_come_and_go) as flicker:
        while flicker.is_alive():
            for port in (told.port, *told.more):
                flicker.judge(lambda port=port: told.code_at(port, ANN4))  # type: ignore[misc]
                assert (told.code_at(port, BOB6), told.code_at(port, EVE4)) == (always, never)
                assert told.code_at(port, EVE4, LOCAL) == 250
    flicker.was_always_right(refuses=never, at_least=5)


def test_opensmtpd_starts_on_a_map_that_is_new_and_not_on_an_empty_file(
    place: Path, network: Network, stopping: ExitStack
) -> None:
    file = place / "relay"
    smtpd = Opensmtpd(place / "smtpd", {"poprelay": f"file:{file}"})
    stopping.callback(smtpd.stop)
    file.touch()
    with pytest.raises(AssertionError, match="may not be used for from lookups"):
        smtpd.start()
    file.unlink()
    section = Section({"path": str(file), "command": ["true"]}, ("maps", 0), [])
    assert OpensmtpdMap.from_section(section).keys() == set()
    smtpd.start()


def test_an_open_session_sees_what_roots_part_makes_of_sendmails_access_database(
    place: Path, network: Network, stopping: ExitStack
) -> None:
    told = WAYS["sendmail access by root"](place, network, stopping)
    with told.session(ANN4) as session:
        assert session.ask().code == told.refuses
        told.fed.log_in(ANN4)
        until(lambda: session.ask().code == 250, seconds=5.0)
        told.fed.revoke(ANN4)
        until(lambda: session.ask().code == told.refuses, seconds=5.0)


def test_what_a_person_says_of_an_address_in_sendmails_access_database_holds(
    place: Path, network: Network, stopping: ExitStack
) -> None:
    told = WAYS["sendmail access"](place, network, stopping)
    told.fed.log_in(BOB4)
    until(lambda: told.code(BOB4) == 250, seconds=3.0)
    told.fed.poprelay.stop()
    told.file.write_text(f"Connect:{ANN4}\tREJECT\n{BOB4}\tREJECT\n{told.file.read_text()}")
    told.fed.start()
    told.fed.log_in(ANN4)
    told.fed.log_in(ANN6)
    until(lambda: told.code(ANN6) == 250, seconds=3.0)
    assert [told.code(address) // 100 for address in (ANN4, BOB4)] == [5, 5]


def test_courier_goes_on_where_another_file_names_an_address_that_logs_in(
    place: Path, network: Network, stopping: ExitStack
) -> None:
    told = WAYS["courier"](place, network, stopping)
    (told.file.parent / "mine").write_text(f"{ANN4}\tallow\n")
    for address in (ANN4, ANN6):
        told.fed.log_in(address)
    until(lambda: told.code(ANN6) == 250, seconds=4.0)
    assert told.code(ANN4) == told.refuses, "what a person wrote holds"
    told.fed.revoke(ANN6)
    until(lambda: told.code(ANN6) == told.refuses, seconds=3.0)
