"""The whole of it, with a real daemon and without."""

from __future__ import annotations

import os
import time
from ipaddress import ip_network
from pwd import getpwuid

import pytest

from daemon.house import House
from live.running import until
from poprelay.daemon.account import attempt
from poprelay.daemon.configure import read_config
from poprelay.daemon.doctor import examine
from poprelay.daemon.doctor.crowds import faults as crowded
from poprelay.mta import Finding


@pytest.fixture(autouse=True)
def no_mta(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poprelay.daemon.doctor.mtas", lambda name, config: [])
    monkeypatch.setattr("poprelay.daemon.account.USER", getpwuid(os.geteuid()).pw_name)


def found(house: House) -> list[Finding]:
    return examine(house.poprelay.config)


def about(house: House, word: str) -> list[Finding]:
    return [finding for finding in found(house) if word in finding.what]


def test_no_daemon_runs(house: House) -> None:
    (one,) = about(house, "no daemon is running")
    assert (one.level, one.mend.split(" (")[0]) == ("fault", "systemctl start poprelay")


def test_the_daemon_only_observes(house: House) -> None:
    house.start("--observe")
    assert [finding.level for finding in about(house, "only observes")] == ["fault"]


def test_what_status_says_is_found_too_with_its_own_remedy_and_the_worst_comes_first(house: House) -> None:
    (house.place / "s").write_text("no socket")
    house.start()
    until(lambda: about(house, "cannot listen"))
    worst = found(house)[0]
    assert (worst.level, worst.mend, worst.why) == ("fault", "move it away", "the MTA is not answered")
    assert "move it away" not in worst.what


def test_a_missing_log_is_said_once(house: House) -> None:
    house.start()
    house.log.unlink()
    until(lambda: "the file is missing" in str(house.status()["problems"]))
    assert [finding.what for finding in found(house) if finding.level != "note"] == [
        f"{house.log}: No such file or directory"
    ]


def test_a_map_without_its_directory_is_a_fault_that_the_directory_mends(house: House) -> None:
    where = house.place / "none"
    house.poprelay.configure(house.settings(f'[[maps]]\nkind = "text"\npath = "{where}/relay"\n'))
    house.start()
    until(lambda: about(house, "not made"))
    (one,) = about(house, "not made")
    assert (one.level, one.mend) == ("fault", f"create the directory {where}")
    assert house.status()["problems"] == [f"map text {where}/relay: {one.what.partition(': ')[2]}: {one.mend}"]


def test_without_an_mta_it_is_said_that_none_was_looked_at(house: House) -> None:
    (note,) = about(house, "no MTA that we know is installed")
    assert note.level == "note"


def test_a_doubt_about_the_config_is_a_note(house: House) -> None:
    house.poprelay.configure(house.settings(relay="").replace('"30m"', '"7d"'))
    assert [finding.level for finding in about(house, "longer than a day")] == ["note"]


def test_a_gateway_and_a_bridge_of_containers_are_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poprelay.daemon.doctor.crowds.gateways", lambda: frozenset({"192.0.2.1"}))
    monkeypatch.setattr("poprelay.daemon.doctor.crowds.bridges", lambda: (ip_network("172.17.0.0/16"),))
    house.poprelay.configure(house.settings(relay='allow_networks = ["172.16.0.0/12"]'))
    config = read_config(house.poprelay.config)
    grants = [{"address": address} for address in ("192.0.2.1", "172.17.0.5", "8.8.4.4")]
    seen = list(crowded(config, grants))
    assert [finding.level for finding in seen] == ["danger"] * 3
    assert [
        word in finding.what for word, finding in zip(("172.17.0.5", "192.0.2.1", "172.16.0.0/12"), seen, strict=True)
    ]


def test_what_the_account_may_not_do_is_told() -> None:
    def refuse() -> str:
        raise PermissionError(13, "no")

    assert attempt(refuse, None) == ("", "Permission denied")
    assert attempt(lambda: "yes", None) == ("yes", "")


def test_a_map_lets_relay_who_has_no_grant_any_more(house: House) -> None:
    house.start()
    house.ask("allow", address="8.8.4.4", span="2s")
    house.ask("allow", address="1.0.0.1", span="5m")
    until(lambda: "8.8.4.4" in (house.place / "relay.txt").read_text())
    assert about(house, "has no grant") == []
    house.poprelay.kill()
    time.sleep(2.1)
    (stale,) = about(house, "has no grant")
    assert (stale.level, "8.8.4.4" in stale.what, "1.0.0.1" in stale.what) == ("danger", True, False)
    assert house.poprelay.run("cleanup").exit == 0
    assert about(house, "has no grant") == []


def test_a_map_that_the_daemon_could_not_bring_in_step_is_a_danger_said_once(house: House) -> None:
    command = 'command = ["/bin/false"]\n'
    house.poprelay.configure(house.settings(f'[[maps]]\nkind = "text"\npath = "{house.place}/relay.txt"\n{command}'))
    house.start()
    house.ask("allow", address="8.8.4.4", span="5m")
    until(lambda: about(house, "stale"))
    seen = [finding for finding in found(house) if "relay.txt" in finding.what + finding.about]
    assert [(finding.level, "/bin/false" in finding.what) for finding in seen] == [("danger", True)]
