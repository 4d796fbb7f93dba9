"""Reading whole logs for `match` and `replay`: any number of files, each on its own, with progress on a terminal."""

from __future__ import annotations

import io
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from grp import getgrgid
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from zoneinfo import ZoneInfo

import click
from click.shell_completion import CompletionItem

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.clock import Clock
from poprelay.errors import AgentError, InputError, NotPermitted, SourceError
from poprelay.escape import show
from poprelay.model import Instant
from poprelay.scan import Scanned, Scanner
from poprelay.sources.archive import blocks, modified, open_log, plain_size
from poprelay.sources.lines import Block

DAY: Final = 86_400.0
if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY: Final = 0.5
"""Seconds between two words of progress."""
KEPT: Final = 16
"""Blocks of a megabyte that are kept of standard input, to be looked at again."""


class Zone(click.ParamType[tzinfo]):
    """A time zone by its name, such as Europe/Vienna."""

    name = "zone"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        try:
            return ZoneInfo(str(value))
        except (OSError, ValueError, KeyError):
            self.fail(f"no time zone is called {value!r}; use a name like Europe/Vienna or UTC", param, ctx)


class AgentName(click.ParamType[str]):
    """The name of an agent, which may be one of the config's own."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in catalog.names() if name.startswith(incomplete)]


year = click.option("--year", type=click.IntRange(1970, 9998), help="What year stamps without one mean.")
timezone = click.option("--timezone", "zone", type=Zone(), help="What zone stamps without one mean.")
files = click.argument("files", metavar="FILE...", nargs=-1, required=True)


def own_agents(config_path: Path | None) -> dict[str, Agent]:
    """The agents that a config brings, by name; none without one. Raises ConfigError."""
    if config_path is None:
        return {}
    from poprelay.daemon.configure import read_own_agents

    return read_own_agents(config_path)


def agents_named(names: Sequence[str], config_path: Path | None) -> list[Agent]:
    """The agents of these names, the config's own included; all built-in ones if none is named."""
    own = own_agents(config_path)
    if not names:
        return [*own.values(), *(catalog.find(name) for name in catalog.names())]
    return [own[name] if name in own else agent_named(name) for name in names]


def agent_named(name: str) -> Agent:
    """A built-in agent, or another package's, by the name that was typed."""
    try:
        return catalog.find(name)
    except AgentError as error:
        if name in catalog.names():
            raise
        raise click.UsageError(str(error)) from error


def read_log(
    name: str,
    agents: Sequence[Agent],
    *,
    year: int | None = None,
    zone: tzinfo | None = None,
    near_misses: bool = False,
    kept: list[bytes] | None = None,
    quiet: bool = False,
) -> Iterator[Scanned]:
    """What the agents see in one log, block by block.

    The first blocks go to `kept`, if that is given. `quiet`: nothing is printed meanwhile, so that progress may show on
    the same terminal.
    """
    scanner = Scanner(agents, source=name, zone=zone, near_misses=near_misses)
    now = Clock().now()
    horizon = _end_of(year, zone) if year is not None else (modified(name) or now) + DAY
    with _Progress(name, quiet=quiet) as progress, opened(name) as stream:
        for block in _whole(stream, name):
            scanned = scanner.scan(block.data, now=now if year is None else max(now, horizon), horizon=horizon)
            if kept is not None and len(kept) < KEPT:
                kept.append(block.data)
            yield scanned
            progress.show(len(block.data))


def opened(name: str) -> io.BufferedReader:
    """The log as a stream; one that cannot be opened is a mistake in what was typed. Raises NotPermitted."""
    try:
        return open_log(name)
    except SourceError as error:
        if isinstance(error.__cause__, PermissionError):
            raise NotPermitted(str(error), remedy=_who_may(name)) from error
        raise click.UsageError(str(error)) from error


def _who_may(name: str) -> str:
    """Who may read a log."""
    with suppress(OSError, KeyError):
        status = Path(name).stat()
        if status.st_mode & stat.S_IRGRP and status.st_gid:
            return f"run it as root, or as a member of the group {getgrgid(status.st_gid).gr_name}"
    return "run it as root"


def _whole(stream: io.BufferedReader, name: str) -> Iterator[Block]:
    """Its blocks; raises InputError if it turns out to be damaged, for then what was seen is not all."""
    try:
        yield from blocks(stream, name=name, unterminated=True)
    except SourceError as error:
        raise InputError(str(error)) from error


def first_blocks(name: str, kept: Sequence[bytes], most: int) -> Iterator[bytes]:
    """The first blocks of a log that has been read already: of standard input those that were kept."""
    if name == "-":
        yield from kept[:most]
        return
    with open_log(name) as stream:
        for block in islice(blocks(stream, name=name, unterminated=True), most):
            yield block.data


def _end_of(year: int, zone: tzinfo | None) -> Instant:
    return datetime(year + 1, 1, 1, tzinfo=zone).astimezone().timestamp() - 1


class _Progress:
    """How far reading is, on a terminal's standard error; nothing elsewhere, nor for a log that is read in no time.

    Where what is seen is printed on a terminal as well, those lines are progress enough.
    """

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name = name
        self._shown = sys.stderr.isatty() and (quiet or not sys.stdout.isatty())
        self._next = time.monotonic() + EVERY
        self._read = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, read: int) -> None:
        """So many bytes more have been read."""
        self._read += read
        if not self._shown or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        if self._bar is None:
            self._begin()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._read)
            self._bar.refresh()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar = Progress(
            TextColumn(escape(show(self._name))),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=plain_size(self._name))
        self._bar.start()
