from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.daemon import units
from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.doctor.installed import faults

TEXT = """
[relay]
period = "30m"
[[sources]]
kind = "file"
path = "/var/log/mail.log"
agents = ["dovecot"]
[[maps]]
kind = "opensmtpd"
path = "/var/lib/poprelay/table"
root = "opensmtpd"
"""


class Systemd:
    """What systemctl would say."""

    def __init__(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        self.units = {*units.DAEMON, "poprelay-root.path"}
        self.yes = {f"is-enabled {units.DAEMON[0]}", f"is-active {units.DAEMON[1]}", "is-active poprelay-root.path"}
        self.config = config
        monkeypatch.setattr(units, "booted", lambda: True)
        monkeypatch.setattr(units, "known", lambda unit: unit in self.units)
        monkeypatch.setattr(units, "says", lambda question, unit: f"{question} {unit}" in self.yes)

    def found(self) -> list[str]:
        return [finding.what for finding in faults(self.config)]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    path = tmp_path / "poprelay.toml"
    path.write_text(TEXT)
    return Systemd(read_config(path), monkeypatch)


def test_nothing_is_found_where_all_units_do_their_work(systemd: Systemd) -> None:
    assert systemd.found() == []


def test_each_unit_that_does_not_is_found(systemd: Systemd) -> None:
    systemd.yes.clear()
    assert systemd.found() == [
        "poprelay.service is not enabled",
        "poprelay-cleanup.timer is not running",
        "poprelay-root.path is not running",
    ]
    systemd.units.clear()
    assert systemd.found()[0] == "there is no poprelay.service"


def test_our_units_are_copied_from_where_they_are_installed(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd.units.clear()
    for place, begins in ((tmp_path, f"cp {tmp_path}/poprelay* "), (tmp_path / "none", "in the source: cp packaging/")):
        monkeypatch.setattr("poprelay.daemon.doctor.installed._SHIPPED", place)
        assert next(iter(faults(systemd.config))).mend.startswith(begins)


def test_without_systemd_nothing_can_be_said(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd.yes.clear()
    monkeypatch.setattr(units, "booted", lambda: False)
    assert systemd.found() == []
