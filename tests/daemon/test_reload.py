"""Reload, of the daemon as a process: what a new config changes, and what it leaves running."""

from __future__ import annotations

import socket

import pytest

from daemon.house import SOCKETMAP, SPOOL_MAP, TEXT_MAP, House, lookup
from live.running import until


def test_a_refused_reload_leaves_everything_as_it_was_and_status_says_why(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.listed() == {"9.9.9.9"})
    house.reload("[relay]\nperiod = 7\n" + SPOOL_MAP.format(place=house.place))
    assert house.poprelay.run("status").exit == 1
    until(lambda: house.status()["problems"])
    (problem,) = house.status()["problems"]
    assert problem.startswith("the last reload was refused: ")
    assert "relay.period" in problem
    house.login("8.8.4.4")
    until(lambda: house.in_text() == {"9.9.9.9", "8.8.4.4"})
    house.reload(house.settings())
    assert house.status()["problems"] == []


def test_a_reload_leaves_running_what_has_not_changed_stops_what_is_gone_and_starts_what_is_new(house: House) -> None:
    house.poprelay.configure(house.settings(TEXT_MAP, SOCKETMAP))
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.listed() == {"9.9.9.9"})
    inode = (house.place / "s").stat().st_ino
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(house.place / "s"))
        assert "OK" in lookup(sock, "9.9.9.9")
        house.reload(house.settings(SPOOL_MAP, SOCKETMAP))
        assert "OK" in lookup(sock, "9.9.9.9"), "the same connection goes on"
        assert (house.place / "s").stat().st_ino == inode
        until((house.place / "spool/9.9.9.9").exists)
        assert [part["name"] for part in house.status()["maps"]] == [f"spool {house.place}/spool"]
        house.reload(house.settings(SPOOL_MAP))
        assert house.status()["services"] == []
        assert sock.recv(10) == b""
    assert not (house.place / "s").exists()


def test_a_map_that_leaves_the_config_is_emptied_at_a_reload(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    house.reload(house.settings(SPOOL_MAP))
    until((house.place / "spool/9.9.9.9").exists)
    assert house.in_text() == set()
    assert house.status()["problems"] == []


def test_a_map_that_left_the_config_while_no_daemon_ran_is_shown_until_it_is_gone(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    assert house.poprelay.stop() == 0
    house.poprelay.configure(house.settings(SPOOL_MAP))
    house.start()
    (problem,) = house.status()["problems"]
    assert problem.startswith(f"{house.place}/relay.txt was a map of an earlier config")
    (house.place / "relay.txt").unlink()
    assert house.status()["problems"] == []


def test_a_map_that_only_looks_otherwise_now_is_not_emptied(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    house.reload(house.settings(TEXT_MAP + 'format = "%i RELAY"\n'))
    until(lambda: "9.9.9.9 RELAY" in (house.place / "relay.txt").read_text())
    assert "was emptied" not in house.printed()
    assert house.status()["problems"] == []


def test_a_reload_judges_every_grant_by_the_new_rules(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    house.login("8.8.4.4", "bob")
    until(lambda: house.in_text() == {"9.9.9.9", "8.8.4.4"})
    house.reload(house.settings(relay='deny_users = ["bob"]'))
    until(lambda: house.in_text() == {"9.9.9.9"})
    closed = [row for row in house.ask("history") if row["change"] == "closed"]
    assert [(row["address"], row["reason"]) for row in closed] == [("8.8.4.4", "config")]


def test_a_source_whose_agents_change_goes_on_where_reading_stood(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.listed() == {"9.9.9.9"})
    house.reload(house.settings(agent="qpopper"))
    assert house.status()["sources"][0]["lines"] == 0
    house.login("8.8.4.4")
    until(lambda: house.status()["sources"][0]["lines"] == 1, what="only the new line is read")
    assert house.listed() == {"9.9.9.9"}
    house.reload(house.settings())
    house.login("8.8.8.8")
    until(lambda: house.listed() == {"9.9.9.9", "8.8.8.8"})
    (row,) = [row for row in house.ask("list") if row["address"] == "9.9.9.9"]
    assert row["renewals"] == 0, "no line was read twice"


@pytest.mark.parametrize("section", ["ledger", "control"])
def test_what_only_a_restart_can_change_refuses_the_reload(house: House, section: str) -> None:
    house.start()
    config = house.poprelay.config
    key = "ledger.db" if section == "ledger" else "control"
    config.write_text(config.read_text().replace(f"d/{key}", f"d/{key}2"))
    house.poprelay.reload()
    until(lambda: house.status()["problems"])
    assert f"[{section}] has changed" in house.status()["problems"][0]


def test_standing_grants_open_at_start_and_follow_the_config(house: House) -> None:
    standing = '[[standing]]\naddress = "9.9.9.9"\nreason = "printer"\n'
    house.poprelay.configure(house.settings(TEXT_MAP, standing))
    house.start()
    assert house.in_text() == {"9.9.9.9"}
    assert [(row["basis"], row["until"], row["reason"]) for row in house.ask("list")] == [("standing", None, "printer")]
    house.reload(house.settings(TEXT_MAP))
    until(lambda: house.in_text() == set())
