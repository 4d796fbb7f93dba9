"""Room for the ledger in the spool of an older daemon, and what is taken over from it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poprelay.clock import Clock
from poprelay.config.load import Document
from poprelay.daemon import daemon as module
from poprelay.daemon.configure import Config, build_config, read_config
from poprelay.daemon.daemon import Daemon
from poprelay.daemon.heritage.heritage import adopt, inheritance, make_room
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.storage import Storage
from poprelay.errors import PoprelayError, StoreError


def config(spool: object, ledger: object) -> Config:
    return build_config(
        Document(
            '[relay]\nperiod = "1h"\n[[sources]]\nkind = "file"\npath = "/var/log/mail.log"\nagents = ["dovecot"]\n'
            f'[[maps]]\nkind = "spool"\npath = "{spool}"\n[ledger]\npath = "{ledger}/.ledger.db"\n',
            "new.toml",
        )
    )


@pytest.mark.parametrize("spelled", ["spool", "spool/", "spool//", "/spool", "link"])
def test_the_spool_is_closed_to_others_however_its_path_is_spelled(spelled: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    (tmp_path / "link").symlink_to(spool)
    named = f"{tmp_path}/{spelled}"
    spool.mkdir()
    spool.chmod(0o777)
    make_room(config(named, spool))
    assert spool.stat().st_mode & 0o777 == 0o755
    (spool / ".ledger.db").touch()
    (spool / ".ledger.db").chmod(0o666)
    with pytest.raises(StoreError, match="another user may have made it"):
        make_room(config(named, spool))


def test_a_missing_spool_is_made_however_its_path_is_spelled(tmp_path: Path) -> None:
    make_room(config(f"{tmp_path}/spool/", tmp_path / "spool"))
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o755


def test_a_spool_that_does_not_hold_the_ledger_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o777)
    make_room(config(tmp_path / "spool", tmp_path))
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o777


FORMER = """
[relay]
period = "1h"
exclude_networks = []
[[sources]]
kind = "file"
path = "{place}/mail.log"
agents = ["dovecot"]
[[standing]]
address = "1.1.1.1"
[[maps]]
kind = "spool"
path = "{place}/one"
adopt = true
[[maps]]
kind = "spool"
path = "{place}/two"
adopt = true
[ledger]
path = "{place}/ledger.db"
[control]
listen = "unix:{place}/control"
"""


@pytest.fixture
def former(place: Path) -> Iterator[Path]:
    """A config whose two spools an older daemon has filled."""
    for spool, address in (("one", "9.9.9.9"), ("two", "8.8.4.4")):
        (place / spool).mkdir()
        (place / spool / address).write_text("ann")
    (place / "mail.log").touch()
    (place / "poprelay.toml").write_text(FORMER.format(place=place))
    interval = sys.getswitchinterval()
    yield place / "poprelay.toml"
    sys.setswitchinterval(interval)


def left(config: Path) -> set[str]:
    """What is to be taken over at the next start."""
    read = read_config(config)
    storage = Storage(read.settings, Clock())
    try:
        found = inheritance(read, storage, time.time())
    finally:
        asyncio.run(storage.close())
    return {event.address or "" for event in found.events} if found else set()


def test_what_several_spools_hold_is_taken_over_all_at_once_or_not_at_all(
    former: Path, keeper: Keeper, store: Any, clock: Any, disk_full: StoreError
) -> None:
    config = read_config(former)
    storage = Storage(config.settings, Clock())
    clock.at = time.time()
    store.broken = disk_full

    async def take_over() -> None:
        found = inheritance(config, storage, clock.at)
        assert found is not None
        with pytest.raises(StoreError):
            await adopt(keeper, found)
        assert len(keeper.ledger) == 0
        store.broken = None
        await adopt(keeper, found)
        await storage.close()

    asyncio.run(take_over())
    (record,) = store.records
    assert {cell.grant.address for cell in record.grants} == {"9.9.9.9", "8.8.4.4"}
    assert record.positions


def test_a_daemon_that_is_killed_at_its_first_start_takes_over_all_at_the_next(
    former: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(PoprelayError):
        pass

    async def killed(*_: object) -> None:
        raise Killed("kill -9")

    monkeypatch.setattr(module, "adopt", killed)
    with pytest.raises(Killed):
        asyncio.run(Daemon(former).run())
    assert left(former) == {"9.9.9.9", "8.8.4.4"}


def test_what_cannot_be_taken_over_yet_is_tried_again_while_the_daemon_runs(
    former: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    async def fails_twice(*arguments: Any) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise StoreError("the disk is full")
        await adopt(*arguments)

    monkeypatch.setattr(module, "adopt", fails_twice)

    async def live() -> None:
        daemon = Daemon(former)
        running = asyncio.create_task(daemon.run())
        async with asyncio.timeout(10):
            while (len(attempts) < 3 or len(daemon.keeper.ledger) < 3) and not running.done():
                await asyncio.sleep(0.01)
        assert {grant.address for grant in daemon.keeper.ledger.grants(time.time())} == {
            "1.1.1.1",
            "8.8.4.4",
            "9.9.9.9",
        }
        daemon.stop()
        await running

    asyncio.run(live())
    assert left(former) == set(), "it was the first start only"


def test_a_ledger_in_which_anything_was_kept_takes_nothing_over(former: Path) -> None:
    config = read_config(former)

    async def keep_something() -> None:
        storage = Storage(config.settings, Clock())
        keeper = Keeper(storage.ledger, storage.writer, Clock())
        keeper.note("mail.log", b"a position")
        await keeper.close()
        await storage.close()

    assert left(former) == {"9.9.9.9", "8.8.4.4"}
    asyncio.run(keep_something())
    assert left(former) == set()
