"""What all tests of maps share: entries, and a program to kill in the middle of a change."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from poprelay.config.section import Section
from poprelay.maps import Entry
from poprelay.model import Address


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """Makes the entry of an address: its users ('ann' if none is named) and, as `at`, their last login."""

    def make(address: str, *users: str, at: float = 1_700_000_000.0) -> Entry:
        return Entry(Address(address), users or ("ann",), at, at + 1800)

    return make


@pytest.fixture
def addresses() -> Callable[[int], list[str]]:
    """Makes that many different addresses, one in four IPv6."""

    def make(count: int) -> list[str]:
        return [one(number) for number in range(count)]

    def one(number: int) -> str:
        if number % 4 == 3:
            return (
                f"2001:db8:0:1::{number >> 14:x}:{(number & 16383) + 1:x}"
                if number >> 14
                else f"2001:db8:0:1::{number + 1:x}"
            )
        return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"

    return make


@pytest.fixture
def kill_repeatedly() -> Callable[[str, Path, int], Iterator[int]]:
    """Runs a program that changes `path` for ever, kills it at another moment each time, and yields after each death.

    The program says a line once it has published for the first time.
    """

    def run(program: str, path: Path, times: int) -> Iterator[int]:
        for time_number in range(times):
            with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"published\n"
                time.sleep(0.0037 * time_number + 0.001)
                assert process.poll() is None, "it is still at work when it is killed"
                process.kill()
            yield time_number

    return run


@pytest.fixture
def section() -> Callable[..., Section]:
    """Makes a section of the config from its keys and values."""

    def make(**table: Any) -> Section:
        return Section(table, ("maps", 0), [])

    return make


@pytest.fixture
def refused() -> Callable[[Section], list[tuple[str, str, str]]]:
    """The keys of a section that were refused, why, and what to write instead; unknown keys too."""

    def listed(section: Section) -> list[tuple[str, str, str]]:
        section.finish()
        return [(str(problem.path[-1]), problem.message, problem.remedy) for problem in section.problems]

    return listed


@pytest.fixture
def quick_rival(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program, which adds a line to each file at the very moment at which that is renamed into its place."""
    rename = Path.replace

    def replace(fresh: Path, path: Path) -> Path:
        rename(fresh, path)
        with path.open("ab") as file:
            file.write(b"8.8.4.4\n")
        return path

    monkeypatch.setattr(Path, "replace", replace)
