from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from poprelay.mta import restart as module
from poprelay.mta.restart import restart


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with neither systemd nor services."""
    monkeypatch.setattr(module, "_SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(module, "_UNITS", (tmp_path / "units",))
    monkeypatch.setattr(module, "_SCRIPTS", tmp_path)
    return tmp_path


def test_systemd_restarts_the_first_service_that_it_knows(host: Path) -> None:
    for folder in ("systemd", "units"):
        (host / folder).mkdir()
    (host / "units/smtpd.service").touch()
    assert restart(("opensmtpd", "smtpd"), "/usr/sbin/smtpd") == (("systemctl", "restart", "smtpd.service"),)


def test_an_init_script_stops_the_service_and_starts_it(host: Path) -> None:
    script = host / "opensmtpd"
    script.write_text(f'#!/bin/sh\necho "$1" >>{host}/done\n')
    script.chmod(0o755)
    (command,) = restart(("opensmtpd",), "no-such-program")
    subprocess.run(command, check=True)
    assert (host / "done").read_text() == "stop\nstart\n"


def test_where_nothing_starts_services_nothing_can_be_restarted(host: Path) -> None:
    assert restart(("opensmtpd",), "/usr/sbin/smtpd") == ()
