"""Reading whole logs for `match` and `replay`: any number of files, each on its own, with progress on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import click

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.clock import Clock
from poprelay.escape import show
from poprelay.model import Instant
from poprelay.scan import Scanned, Scanner
from poprelay.sources.archive import blocks, modified, open_log

DAY: Final = 86_400.0
EVERY: Final = 0.5
"""Seconds between two words of progress."""


class Zone(click.ParamType[tzinfo]):
    """A time zone by its name, such as Europe/Vienna."""

    name = "zone"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        try:
            return ZoneInfo(str(value))
        except (OSError, ValueError, KeyError):
            self.fail(f"no time zone is called {value!r}; use a name like Europe/Vienna or UTC", param, ctx)


year = click.option("--year", type=click.IntRange(1970, 9998), help="What year stamps without one mean.")
timezone = click.option("--timezone", "zone", type=Zone(), help="What zone stamps without one mean.")
files = click.argument("files", metavar="FILE...", nargs=-1, required=True)


def agents_named(names: Sequence[str], config_path: Path | None) -> list[Agent]:
    """The agents of these names, the config's own included; all built-in ones if none is named."""
    own: dict[str, Agent] = {}
    if config_path is not None:
        from poprelay.daemon.configure import read_own_agents

        own = read_own_agents(config_path)
    if not names:
        return [*own.values(), *(catalog.find(name) for name in catalog.names())]
    return [own[name] if name in own else catalog.find(name) for name in names]


def read_log(
    name: str,
    agents: Sequence[Agent],
    *,
    year: int | None = None,
    zone: tzinfo | None = None,
    near_misses: bool = False,
) -> Iterator[tuple[int, Scanned]]:
    """What the agents see in one log: the number of lines before each block, and what the block held."""
    scanner = Scanner(agents, source=name, zone=zone, near_misses=near_misses)
    now = Clock().now()
    horizon = _end_of(year, zone) if year is not None else (modified(name) or now) + DAY
    before = 0
    progress = _Progress(name)
    with open_log(name) as stream:
        for block in blocks(stream, name=name, unterminated=True):
            scanned = scanner.scan(block.data, now=now if year is None else max(now, horizon), horizon=horizon)
            yield before, scanned
            before += scanned.lines
            progress.show(len(block.data), before)
    progress.clear()


def _end_of(year: int, zone: tzinfo | None) -> Instant:
    return datetime(year + 1, 1, 1, tzinfo=zone).astimezone().timestamp() - 1


class _Progress:
    """How far reading is, on a terminal's standard error; nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = show(name)
        self._shown = sys.stderr.isatty()
        self._next = time.monotonic() + EVERY
        self._read = 0
        self._said = False

    def show(self, read: int, lines: int) -> None:
        self._read += read
        if self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            self._said = True
            print(
                f"\r\x1b[K{self._name}: {self._read / 1e6:,.0f} MB, {lines:,} lines",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def clear(self) -> None:
        if self._said:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
