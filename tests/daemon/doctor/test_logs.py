from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.doctor.logs import faults

LINE = "mx dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=8.8.4.4, lip=9.9.9.9, mpid=7, TLS, session=<a>\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_text(f"{time.strftime('%b %d %H:%M:%S')} {LINE}")
    return path


def config(log: Path, *agents: str) -> Config:
    quoted = ", ".join(f'"{agent}"' for agent in agents or ("dovecot",))
    path = log.with_name("poprelay.toml")
    path.write_text(f'[relay]\nperiod = "30m"\n[[sources]]\nkind = "file"\npath = "{log}"\nagents = [{quoted}]\n')
    return read_config(path)


def row(log: Path, **more: Any) -> dict[str, Any]:
    return {"pid": os.getpid(), "sources": [{"name": str(log), "agents": {}, "skew": 0.0, **more}]}


def test_nothing_is_found_in_a_log_with_logins(log: Path) -> None:
    assert not list(faults(config(log), None))
    assert not list(faults(config(log), row(log)))


def test_a_log_is_missing(log: Path) -> None:
    log.unlink()
    (found,) = faults(config(log), None)
    assert (found.level, "No such file" in found.what) == ("fault", True)


def test_a_log_is_not_written(log: Path) -> None:
    os.utime(log, (0, time.time() - 3 * 86_400))
    assert ["was not written for 3d" in found.what for found in faults(config(log), None)] == [True]


def test_an_agent_never_spoke_and_the_one_that_did_is_named(log: Path) -> None:
    (found,) = faults(config(log, "courier"), None)
    assert (found.level, found.mend) == ("note", 'agents = ["dovecot"] in our config')


def test_what_the_daemon_has_seen_counts_after_a_rotation(log: Path) -> None:
    log.write_text("")
    assert not list(faults(config(log), row(log, agents={"dovecot": 3})))
    assert ["no login of dovecot" in found.what for found in faults(config(log), row(log))] == [True]


@pytest.mark.parametrize(("skew", "word"), [(3600.0, "ahead of"), (-900.0, "behind")])
def test_stamps_are_off(log: Path, skew: float, word: str) -> None:
    (found,) = faults(config(log), row(log, skew=skew))
    assert (found.level, word in found.what) == ("fault", True)
