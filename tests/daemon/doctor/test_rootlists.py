from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.doctor.rootlists import faults

COMMAND = '[[commands]]\nname = "{}"\n[[commands.steps]]\nrun = ["/bin/true"]\n'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "requests").mkdir()
    path = tmp_path / "poprelay.toml"
    path.write_text(
        '[relay]\nperiod = "30m"\n[[sources]]\nkind = "file"\npath = "/var/log/mail.log"\nagents = ["dovecot"]\n'
        '[[maps]]\nkind = "opensmtpd"\npath = "/var/lib/poprelay/relay"\nroot = "opensmtpd"\n'
        f'root_directory = "{tmp_path}"\n'
    )
    return read_config(path)


def found(config: Config, path: Path) -> list[str]:
    return [one.what for one in faults(config, path)]


def test_nothing_is_found_where_root_does_what_the_map_asks_for(config: Config, tmp_path: Path) -> None:
    (tmp_path / "root.toml").write_text(COMMAND.format("opensmtpd"))
    assert found(config, tmp_path / "root.toml") == []


def test_a_command_that_is_not_in_the_list_is_found(config: Config, tmp_path: Path) -> None:
    (tmp_path / "root.toml").write_text(COMMAND.format("courier"))
    assert "has no command opensmtpd" in found(config, tmp_path / "root.toml")[0]


def test_a_list_that_is_missing_or_may_not_be_believed_is_found(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "root.toml"
    assert f"there is no list {path}" in found(config, path)[0]
    path.write_text(COMMAND.format("opensmtpd"))
    path.chmod(0o666)
    assert "others than root can write" in found(config, path)[0]


def test_a_place_that_is_missing_where_root_is_asked_is_found(config: Config, tmp_path: Path) -> None:
    (tmp_path / "root.toml").write_text(COMMAND.format("opensmtpd"))
    (tmp_path / "requests").rmdir()
    assert found(config, tmp_path / "root.toml") == [f"there is no {tmp_path}/requests"]
