"""Waking at what happens to files. Nothing depends on it, but a login should count at once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncinotify
import pytest
from structlog.testing import capture_logs

from poprelay.sources import watch as module
from poprelay.sources.place import Identity
from poprelay.sources.watch import Watch, open_watch


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = open_watch()
    assert watch is not None
    yield watch
    watch.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "mail.log"
    log.write_bytes(b"one\n")
    return log


def wanted(*paths: Path) -> dict[Identity, Path]:
    return {(path.stat().st_dev, path.stat().st_ino): path for path in paths}


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


class Bell:
    """How often it was rung since somebody asked."""

    def __init__(self, watch: Watch) -> None:
        self._rung = 0
        watch.start(self._ring)

    def _ring(self) -> None:
        self._rung += 1

    async def rings(self) -> bool:
        """Whether it rang for what happened until now. inotify tells at once, so there is little to wait for."""
        await asyncio.sleep(0.01)
        rung, self._rung = self._rung, 0
        return rung > 0


async def test_a_line_that_is_written_wakes(watch: Watch, log: Path) -> None:
    bell = Bell(watch)
    watch.update(wanted(log))
    assert not await bell.rings()
    append(log)
    assert await bell.rings()
    assert not await bell.rings()
    append(log)
    assert await bell.rings()


async def test_names_that_come_change_and_go_wake(watch: Watch, log: Path) -> None:
    bell = Bell(watch)
    watch.update(wanted(log.parent))
    append(log)
    assert not await bell.rings(), "a directory does not tell of what is written to its files"
    log.rename(log.with_name("mail.log.1"))
    assert await bell.rings()
    log.touch()
    assert await bell.rings()
    log.unlink()
    assert await bell.rings()


async def test_a_directory_that_is_replaced_wakes(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    bell = Bell(watch)
    watch.update(wanted(tmp_path / "log"))
    (tmp_path / "log").rename(tmp_path / "old")
    assert await bell.rings()
    (tmp_path / "old").rmdir()
    assert await bell.rings()


async def test_what_is_wanted_no_more_does_not_wake(watch: Watch, log: Path) -> None:
    bell = Bell(watch)
    watch.update(wanted(log))
    watch.update({})
    await bell.rings()
    append(log)
    assert not await bell.rings()


def test_an_update_says_whether_something_new_is_watched(watch: Watch, log: Path) -> None:
    assert watch.update(wanted(log))
    assert not watch.update(wanted(log))
    assert watch.update(wanted(log, log.parent))
    assert not watch.update(wanted(log.parent))
    assert watch.update(wanted(log))


async def test_a_file_that_has_the_inode_of_a_deleted_one_is_watched_anew(watch: Watch, log: Path) -> None:
    bell = Bell(watch)
    before = wanted(log)
    watch.update(before)
    log.unlink()
    assert await bell.rings()
    log.touch()
    # Whether the system gives the number again is its own affair: what the follower asks for may look the same.
    assert watch.update(dict.fromkeys(before, log))
    append(log)
    assert await bell.rings()


def test_what_is_gone_before_it_is_watched_is_left_to_the_next_look(watch: Watch, log: Path) -> None:
    assert not watch.update({(1, 2): log.with_name("gone")})
    assert watch.update({(1, 2): log})


def test_no_more_watches_is_no_error(watch: Watch, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> asyncinotify.Watch:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(asyncinotify.Inotify, "add_watch", full)
    assert not watch.update(wanted(log))


async def test_a_deleted_file_is_watched_by_its_descriptor(watch: Watch, log: Path) -> None:
    bell = Bell(watch)
    with log.open("ab", buffering=0) as file:
        identity = wanted(log)
        log.unlink()
        assert watch.update(dict.fromkeys(identity, Path(f"/proc/self/fd/{file.fileno()}")))
        file.write(b"more\n")
        assert await bell.rings()


async def test_many_events_wake_and_leave_nothing_behind(watch: Watch, log: Path) -> None:
    bell = Bell(watch)
    watch.update(wanted(log.parent))
    for number in range(1000):
        log.with_name(f"{number:0200d}").touch()
    assert await bell.rings()
    assert not await bell.rings()


async def test_what_is_stopped_wakes_nobody(watch: Watch, log: Path) -> None:
    bell = Bell(watch)
    watch.update(wanted(log))
    append(log)
    watch.stop()
    assert not await bell.rings()


def test_closing_gives_the_descriptor_back() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that is wanted
    watch = open_watch()
    assert watch is not None
    watch.close()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_system_without_inotify_has_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncinotify", None)
    module._say_missing.cache_clear()
    with capture_logs() as logs:
        assert open_watch() is None
        assert open_watch() is None
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("no inotify; logs are looked at once a second", "info")
    ], "once, however many logs there are"


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), AttributeError(), RuntimeError()])
def test_a_system_that_gives_no_more_inotify_has_no_watch(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(asyncinotify.Inotify, "__init__", none)
    assert open_watch() is None
