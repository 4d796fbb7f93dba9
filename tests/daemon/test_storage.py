"""The ledger's file is opened by one at a time, and a command that holds it briefly keeps no daemon from starting."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from poprelay.clock import Clock
from poprelay.config.load import Document
from poprelay.config.settings import Settings, read_settings
from poprelay.daemon.storage import Storage
from poprelay.errors import AlreadyRunning, StoreDamaged
from poprelay.ledger.lock import acquire
from poprelay.ledger.sqlite import SqliteStore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    text = f'[relay]\nperiod = "30m"\n[ledger]\npath = "{tmp_path}/ledger.db"\n'
    return read_settings(Document(text, "poprelay.toml").root)


async def test_who_finds_the_ledger_held_waits_a_little(settings: Settings) -> None:
    lock = acquire(settings.ledger.path)
    threading.Timer(0.2, lock.release).start()
    storage = Storage(settings, Clock(), patience=30.0)
    await storage.close()


async def test_who_finds_it_held_for_longer_is_refused(settings: Settings) -> None:
    with acquire(settings.ledger.path), pytest.raises(AlreadyRunning):
        Storage(settings, Clock(), patience=0.1)


async def test_a_ledger_that_cannot_be_loaded_is_let_go(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> None:
        raise StoreDamaged("a row is damaged")

    monkeypatch.setattr(SqliteStore, "load", damaged)
    with pytest.raises(StoreDamaged):
        Storage(settings, Clock())
    acquire(settings.ledger.path).release()
