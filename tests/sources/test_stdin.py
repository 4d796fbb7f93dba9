"""Standard input as a source: a pipe, a file, a terminal, and what each of them does at its end."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from poprelay.agents import catalog
from poprelay.config.problem import Problem
from poprelay.config.section import Section
from poprelay.errors import SourceError
from poprelay.sources import Batch, Observable, stdin
from poprelay.sources.lines import LONGEST
from poprelay.sources.stdin import StdinSource
from sources.everyline import NOW, EveryLine, Noon, users


class Pipe:
    def __init__(self) -> None:
        self.end, self._inlet = os.pipe()

    def write(self, data: bytes) -> None:
        os.write(self._inlet, data)

    def close(self) -> None:
        if self._inlet >= 0:
            os.close(self._inlet)
            self._inlet = -1

    def waits(self) -> bool:
        """Whether there is anything in it."""
        return bool(select.select([self.end], [], [], 0)[0])


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()
    os.close(pipe.end)


def source(descriptor: int, scanner: EveryLine | None = None) -> StdinSource:
    return StdinSource(lambda: scanner or EveryLine(), clock=Noon(), descriptor=descriptor)


async def following(batches: AsyncIterator[Batch]) -> Batch:
    """The next batch; fails where none comes."""
    async with asyncio.timeout(5):
        return await anext(batches)


async def rest(batches: AsyncIterator[Batch]) -> list[Batch]:
    """All batches to the end of the input; fails where it does not end."""
    async with asyncio.timeout(5):
        return [batch async for batch in batches]


async def test_lines_are_read_until_the_input_ends(pipe: Pipe) -> None:
    stdin = source(pipe.end)
    assert isinstance(stdin, Observable)
    assert stdin.state() == {"state": "waiting"}
    batches = stdin.batches(None)
    assert await following(batches) == Batch(events=(), position=b"", read_at=NOW, caught_up=True)
    pipe.write(b"ann\nbob\n")
    batch = await following(batches)
    assert (users(batch), batch.lines, batch.read_at, batch.position) == (["ann", "bob"], 2, NOW, b"")
    assert stdin.state() == {"state": "following"}
    pipe.write(b"eve\n")
    pipe.close()
    assert users(*await rest(batches)) == ["eve"]
    assert stdin.state() == {"state": "ended"}


async def test_the_partial_last_line_waits_for_its_end(pipe: Pipe) -> None:
    batches = source(pipe.end).batches(None)
    await following(batches)
    pipe.write(b"ann\nb")
    assert users(await following(batches)) == ["ann"]
    pipe.write(b"o")
    waiting = asyncio.ensure_future(following(batches))
    while pipe.waits():
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert not waiting.done()
    pipe.write(b"b\n")
    assert users(await waiting) == ["bob"]


async def test_an_unterminated_last_line_is_left_out_at_the_end(pipe: Pipe) -> None:
    pipe.write(b"ann\nbo")
    pipe.close()
    assert users(*await rest(source(pipe.end).batches(None))) == ["ann"]


async def test_a_line_over_the_limit_is_cut_and_counted(pipe: Pipe, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"ann\n" + b"x" * (LONGEST + 1) + b"\nbo\0b\xff\n")
    with (tmp_path / "log").open("rb") as log:
        batches = await rest(source(log.fileno()).batches(None))
    assert users(*batches) == ["ann", "bo\0b\udcff"]
    assert [(batch.lines, batch.cut) for batch in batches] == [(3, 1)]


async def test_what_waits_is_said_of_a_pipe(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, "CHUNK", 4)
    pipe.write(b"ann\nbob\n")
    batches = source(pipe.end).batches(None)
    first, second = await following(batches), await following(batches)
    assert [(users(batch), batch.caught_up) for batch in (first, second)] == [(["ann"], False), (["bob"], True)]


async def test_lines_wait_in_the_pipe_while_the_last_batch_is_not_acknowledged(pipe: Pipe) -> None:
    batches = source(pipe.end).batches(None)
    await following(batches)
    pipe.write(b"ann\n")
    await asyncio.sleep(0.02)
    assert pipe.waits()
    assert users(await following(batches)) == ["ann"]
    assert not pipe.waits()


async def test_there_is_no_position_and_no_end_to_begin_at(pipe: Pipe) -> None:
    pipe.write(b"ann\n")
    pipe.close()
    assert users(*await rest(source(pipe.end).batches(b"anything", at_end=True))) == ["ann"]


async def test_the_last_write_bounds_the_year_of_a_file_and_now_that_of_a_pipe(pipe: Pipe, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"ann\n")
    os.utime(tmp_path / "log", (1_700_000_000, 1_700_000_000))
    scanner = EveryLine()
    with (tmp_path / "log").open("rb") as log:
        await rest(source(log.fileno(), scanner).batches(None))
    pipe.write(b"ann\n")
    pipe.close()
    await rest(source(pipe.end, scanner).batches(None))
    assert scanner.asked == [(NOW, 1_700_086_400.0), (NOW, NOW + 86_400)]


async def test_what_is_always_ready_and_empty_ends_at_once() -> None:
    with Path("/dev/null").open("rb") as null:
        assert await rest(source(null.fileno()).batches(None)) == []


@pytest.mark.parametrize("near", [0, 1])
async def test_a_terminal_that_goes_away_is_an_end_and_no_error(near: int) -> None:
    """The system says so in two ways: nothing more comes, or EIO."""
    ends = os.openpty()
    stdin = source(ends[near])
    batches = stdin.batches(None)
    try:
        await following(batches)
        os.write(ends[1 - near], b"ann\n")
        assert users(await following(batches))[0] in {"ann", "ann\r"}
    finally:
        os.close(ends[1 - near])
    assert await rest(batches) == []
    assert stdin.state() == {"state": "ended"}
    os.close(ends[near])


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(SourceError, match=r"^standard input cannot be read: Is a directory$"):
            await rest(source(directory).batches(None))
    finally:
        os.close(directory)
    with pytest.raises(SourceError, match=r"^standard input cannot be read: Bad file descriptor$"):
        await rest(source(directory).batches(None))


async def test_stopping_while_nothing_comes_leaves_nothing_behind(pipe: Pipe) -> None:
    batches = source(pipe.end).batches(None)
    await following(batches)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await anext(batches)
    assert not asyncio.get_running_loop().remove_reader(pipe.end)


def test_a_config_names_it_and_gives_hosts_and_a_time_zone() -> None:
    problems: list[Problem] = []
    for table, name in (({}, "stdin"), ({"name": "pipe", "hosts": ["imap1"], "timezone": "Europe/Vienna"}, "pipe")):
        section = Section(dict(table), ("sources", 0), problems)
        assert StdinSource.from_section(section, [catalog.find("dovecot")]).name == name
        section.finish()
    assert problems == []
