"""What makes an MTA take a changed file up."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps.command import Step
from poprelay.maps.root import RootCommand
from poprelay.maps.uptake import Commands, read_uptake

Refusals = Callable[[Section], list[tuple[str, str, str]]]
STAMP = "import sys, time; open(sys.argv[1], 'a').write(f'{time.monotonic()}\\n')"


def test_commands_run_in_their_order_until_one_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = [Step((sys.executable, "-c", f"open({str(out)!r}, 'a').write({mark!r})")) for mark in "abc"]
    Commands(tuple(steps))(tmp_path)
    assert out.read_text() == "abc"
    steps[1] = Step(("false",))
    with pytest.raises(MapError, match="false failed"):
        Commands(tuple(steps))(tmp_path)
    assert out.read_text() == "abca"


def test_between_two_runs_the_spacing_passes_even_if_one_fails_and_before_the_first_too(tmp_path: Path) -> None:
    out = tmp_path / "out"
    began = time.monotonic()
    commands = Commands((Step((sys.executable, "-c", STAMP, str(out))), Step(("false",))), spacing=0.3)
    for _ in range(3):
        with pytest.raises(MapError):
            commands(tmp_path)
    times = [began, *map(float, out.read_text().split())]
    assert all(later - earlier >= 0.3 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("spec", "made"),
    [
        ({}, type(None)),
        ({"command": ["true"]}, Commands),
        ({"command": "true"}, Commands),
        ({"commands": [{"run": ["true"]}]}, Commands),
        ({"root": "sendmail"}, RootCommand),
        ({"root": "sendmail", "root_directory": "/run/elsewhere", "command_timeout": "5s"}, RootCommand),
    ],
)
def test_the_config_says_what_runs(
    section: Callable[..., Section], refused: Refusals, spec: dict[str, Any], made: type
) -> None:
    read = section(**spec)
    assert type(read_uptake(read)) is made
    assert refused(read) == []


def test_without_a_word_the_usual_command_runs(section: Callable[..., Section], tmp_path: Path) -> None:
    uptake = read_uptake(section(), (sys.executable, "-c", STAMP, str(tmp_path / "out")))
    assert uptake is not None
    uptake(tmp_path)
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ({"root": "sendmail", "command": "true"}, "root"),
        ({"root": "sendmail", "commands": [{"run": ["true"]}]}, "root"),
        ({"root": "../x"}, "root"),
        ({"root": "Sendmail"}, "root"),
        ({"command": "true", "commands": [{"run": ["true"]}]}, "commands"),
        ({"command": "true | false"}, "command"),
    ],
)
def test_what_contradicts_itself_is_refused(
    section: Callable[..., Section], refused: Refusals, spec: dict[str, Any], key: str
) -> None:
    read = section(**spec)
    read_uptake(read)
    assert [problem[0] for problem in refused(read)] == [key]
