"""What a log's source says of itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from poprelay.sources import file
from poprelay.sources.file import FileSource, LogReader, Step
from sources.everyline import EveryLine, Noon, users


async def test_a_reading_that_hangs_is_said_until_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()

    class Hanging(LogReader):
        def step(self) -> Step:
            assert goes_on.wait(10)
            return super().step()

    monkeypatch.setattr(file, "HANGS", 0.02)
    monkeypatch.setattr(file, "LogReader", Hanging)
    log = tmp_path / "mail.log"
    log.write_bytes(b"ann\n")
    source = FileSource(log, EveryLine, clock=Noon(), inotify=False)
    with capture_logs() as logs:
        batches = source.batches(None)
        assert isinstance(batches, AsyncGenerator)
        first = asyncio.ensure_future(anext(batches))
        async with asyncio.timeout(10):
            while source.state()["state"] != "hanging":
                await asyncio.sleep(0.01)
        goes_on.set()
        assert users(await first) == ["ann"]
        await batches.aclose()
    assert source.state()["state"] != "hanging"
    assert [said["event"] for said in logs] == ["reading the log hangs; its logins wait", "log is read again"]
