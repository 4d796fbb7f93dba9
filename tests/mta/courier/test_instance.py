from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.mta.courier.instance import Instance, Rule

ESMTPD = """\
# PATH=/nowhere
PATH=/usr/bin:/bin
ULIMIT=32768
ACCESSFILE=${sysconfdir}/smtpaccess
export PIDFILE='/run/courier/esmtpd.pid'
TCPDOPTS="-stderrlogger=/usr/sbin/courierlogger -noidentlookup"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = tmp_path / "esmtpd"
    config.write_text(ESMTPD)
    return config


def test_settings_are_read_as_a_shell_does(config: Path, tmp_path: Path) -> None:
    found = Instance.read(config)
    assert found.values["PIDFILE"] == "/run/courier/esmtpd.pid"
    assert found.values["TCPDOPTS"] == "-stderrlogger=/usr/sbin/courierlogger -noidentlookup"
    assert (found.access, found.database) == (tmp_path / "smtpaccess", tmp_path / "smtpaccess.dat")


def test_every_file_of_the_directory_is_read_but_backups(config: Path, tmp_path: Path) -> None:
    access = tmp_path / "smtpaccess"
    access.mkdir()
    (access / "default").write_text("# x\n\n127.0.0.1\tallow,RELAYCLIENT\n192.168.5\tdeny\n10\tallow,BLOCK\n")
    (access / "default~").write_text("1\tallow,RELAYCLIENT\n")
    (access / "default.dpkg-old").write_text("2\tallow,RELAYCLIENT\n")
    default = access / "default"
    assert list(Instance.read(config).rules()) == [
        Rule(default, "127.0.0.1", True), Rule(default, "192.168.5", False), Rule(default, "10", False),
    ]  # fmt: skip


def test_one_file_may_stand_in_the_directorys_place(config: Path, tmp_path: Path) -> None:
    (tmp_path / "smtpaccess").write_text("127.0.0.1\tallow,RELAYCLIENT\n")
    assert [rule.key for rule in Instance.read(config).rules()] == ["127.0.0.1"]
