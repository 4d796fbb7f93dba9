"""What the daemon opens at its start."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from poprelay.clock import Clock
from poprelay.daemon import storage as module
from poprelay.daemon.configure import read_config
from poprelay.daemon.storage import Storage
from poprelay.ledger import bundles
from poprelay.ledger.bundles import FEW
from poprelay.ledger.history import History
from poprelay.ledger.record import Cell, Record
from poprelay.model import Address, Grant, Opened

CONFIG = """
[relay]
period = "30m"
max_session = "1h"
[[sources]]
kind = "file"
path = "{place}/mail.log"
agents = ["dovecot"]
[ledger]
path = "{place}/ledger.db"
"""
HOUR = 3600.0


class At(Clock):
    """A clock that stands."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


@pytest.mark.parametrize("ahead", [0.0, 40 * 24 * HOUR], ids=["by a right clock", "by a clock that was ahead"])
async def test_a_ledger_that_was_lost_is_remembered_for_as_long_as_a_login_from_before_could_count(
    tmp_path: Path, ahead: float
) -> None:
    config = tmp_path / "poprelay.toml"
    config.write_text(CONFIG.format(place=tmp_path))
    (tmp_path / "ledger.db").write_bytes(b"no ledger")
    now = float(int(time.time()))  # the second in which it was lost is kept

    async def lost_until(at: float) -> float | None:
        storage = Storage(read_config(config).settings, At(at))
        try:
            return storage.lost_until
        finally:
            await storage.close()

    assert await lost_until(now + ahead) == now + ahead + HOUR
    assert await lost_until(now) == now + HOUR
    assert await lost_until(now + ahead + 2 * HOUR) is None


async def test_a_clock_that_is_set_back_later_prolongs_that_no_more_than_one_that_was_ahead(tmp_path: Path) -> None:
    config = tmp_path / "poprelay.toml"
    config.write_text(CONFIG.format(place=tmp_path))
    (tmp_path / "ledger.db").write_bytes(b"no ledger")
    clock = At(float(int(time.time())))
    storage = Storage(read_config(config).settings, clock)
    clock.time -= 3 * HOUR
    assert storage.lost_until == clock.time + HOUR
    clock.time += HOUR
    assert storage.lost_until is None
    await storage.close()


async def test_history_that_came_faster_than_one_pruning_forgets_is_forgotten_by_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS", 2)
    config = tmp_path / "poprelay.toml"
    config.write_text(f"{CONFIG.format(place=tmp_path)}history_max_rows = 100\n")
    now = float(int(time.time()))
    storage = Storage(read_config(config).settings, At(now))
    grant = Grant(Address("9.9.9.9"), "ann", "login", now, now + 60, now, now, 60.0, "dovecot")
    await storage.writer.commit(Record(history=[Opened(now, grant)] * 2500))
    assert [await storage.tidy(now) for _ in range(3)] == [True, True, False]
    await storage.close()
    with History(tmp_path / "ledger.db") as history:
        assert len([*history.find()]) == 100


async def test_what_was_bundled_gets_its_place_at_the_next_tidying_but_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS", 2)
    monkeypatch.setattr(bundles, "LARGEST", FEW)
    config = tmp_path / "poprelay.toml"
    config.write_text(CONFIG.format(place=tmp_path))
    now = float(int(time.time()))
    storage = Storage(read_config(config).settings, At(now))
    for turn in range(4):
        grants = [
            Grant(Address(f"9.9.9.{n}"), "ann", "login", now, now + turn, now, now, 60.0, "dovecot", "", 1)
            for n in range(FEW)
        ]
        await storage.writer.commit(Record(grants=[Cell(grant) for grant in grants]))
    assert [await storage.tidy(now) for _ in range(4)] == [False, True, True, False]
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as look:
        assert look.execute("SELECT count(*) FROM bundles").fetchone() == (0,)
        assert look.execute("SELECT count(*) FROM grants").fetchone() == (FEW,)
    await storage.close()
