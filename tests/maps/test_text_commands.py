"""The commands that make an MTA take the text file up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry, command
from poprelay.maps.text import MARKER, TextMap

Make = Callable[..., Entry]
Refusals = Callable[[Section], list[tuple[str, str, str]]]
MARK = MARKER.encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay"


@pytest.fixture
def counter(tmp_path: Path, path: Path) -> list[str]:
    """A command that notes each of its runs, and fails where there is a file `fail`."""
    program = (
        f"import os, sys; lines = open({str(path)!r}).read().count('\\n');"
        f"open({str(tmp_path / 'runs')!r}, 'a').write(str(lines));"
        f"sys.exit(os.path.exists({str(tmp_path / 'fail')!r}) and 'no such database')"
    )
    return [sys.executable, "-c", program]


def runs(path: Path) -> str:
    note = path.with_name("runs")
    return note.read_text() if note.exists() else ""


def test_the_command_runs_after_each_change_and_sees_the_new_file(path: Path, entry: Make, counter: list[str]) -> None:
    relay = TextMap(path, command=counter)
    relay.change([entry("192.0.2.1")], [])
    relay.change([entry("192.0.2.2")], [])
    assert runs(path) == "23"


def test_the_command_does_not_run_where_nothing_changed(path: Path, entry: Make, counter: list[str]) -> None:
    relay = TextMap(path, command=counter)
    relay.change([entry("192.0.2.1")], [])
    relay.change([entry("192.0.2.1")], ["192.0.2.2"])
    relay.change([], [])
    assert runs(path) == "2"


def test_the_command_runs_for_a_new_empty_file_too(path: Path, counter: list[str]) -> None:
    relay = TextMap(path, command=counter)
    relay.keys()
    assert runs(path) == ""
    relay.change([], [])
    assert runs(path) == "1"


def test_a_failed_command_leaves_the_file_whole_and_is_run_again_by_the_next_change(
    path: Path, entry: Make, counter: list[str]
) -> None:
    relay = TextMap(path, command=counter)
    path.with_name("fail").touch()
    with pytest.raises(MapError, match=r"failed \(exit code 1\): no such database"):
        relay.change([entry("192.0.2.1")], [])
    assert relay.keys() == {"192.0.2.1"}
    assert path.read_bytes() == MARK + b"192.0.2.1\n"
    with pytest.raises(MapError, match="no such database"):
        relay.change([], [])
    path.with_name("fail").unlink()
    relay.change([], [])
    relay.change([], [])
    assert runs(path) == "222"


def test_a_command_that_is_owed_is_run_by_the_next_process(path: Path, entry: Make, counter: list[str]) -> None:
    path.with_name("fail").touch()
    with pytest.raises(MapError, match="no such database"):
        TextMap(path, command=counter).change([entry("192.0.2.1")], [])
    path.with_name("fail").unlink()
    TextMap(path, command=counter).change([], [])
    TextMap(path, command=counter).change([], [])
    assert runs(path) == "22"


def test_a_hanging_command_is_told_and_owed(path: Path, entry: Make) -> None:
    relay = TextMap(path, command=[sys.executable, "-c", "import time; time.sleep(60)"], command_timeout=0.3)
    for _ in range(2):
        with pytest.raises(MapError, match="did not end within"):
            relay.change([entry("192.0.2.1")], [])
    assert relay.keys() == {"192.0.2.1"}


@pytest.mark.parametrize("given", ["touch '{}/made it'", ["touch", "{}/made it"]])
def test_the_config_takes_a_command_as_a_list_or_as_a_line(
    path: Path, section: Callable[..., Section], refused: Refusals, entry: Make, given: str | list[str]
) -> None:
    filled = given.format(path.parent) if isinstance(given, str) else [word.format(path.parent) for word in given]
    asked = section(path=str(path), command=filled)
    relay = TextMap.from_section(asked)
    assert not refused(asked)
    relay.change([entry("192.0.2.7")], [])
    assert (path.parent / "made it").exists()


def test_changes_are_two_seconds_apart_where_a_command_makes_a_database_of_the_file(
    path: Path, section: Callable[..., Section], refused: Refusals
) -> None:
    assert TextMap.from_section(section(path=str(path))).interval == 0.0
    assert TextMap.from_section(section(path=str(path), command="true")).interval == 2.0
    assert TextMap.from_section(section(path=str(path), command="true", interval="10s")).interval == 10.0


def test_a_bad_format_and_a_command_for_a_shell_are_refused_with_the_remedy(
    path: Path, section: Callable[..., Section], refused: Refusals
) -> None:
    bad = section(path=str(path), format="%i/8", command="makemap hash a < a")
    TextMap.from_section(bad)
    assert refused(bad) == [
        (
            "format",
            "'/' right after %i would make it another address or a network",
            'write for example "%i" or "%i RELAY"',
        ),
        ("command", "'<' needs a shell, and none is used", "write a script, or a list of program and arguments"),
    ]


def test_several_commands_run_in_their_order_each_with_its_standard_input(
    path: Path, section: Callable[..., Section], refused: Refusals, entry: Make
) -> None:
    database = path.with_name("relay.db")
    asked = section(
        path=str(path),
        commands=[{"run": ["tee", str(database)], "stdin": str(path)}, {"run": ["cp", str(database), f"{database}.2"]}],
    )
    relay = TextMap.from_section(asked)
    assert not refused(asked)
    assert relay.interval == 2.0
    relay.change([entry("192.0.2.7")], [])
    assert path.read_bytes() == database.read_bytes() == Path(f"{database}.2").read_bytes()


def test_after_a_command_that_fails_the_next_is_not_run_and_all_are_owed(path: Path, entry: Make) -> None:
    first, second = path.with_name("first"), path.with_name("second")
    steps = [command.Step(("test", "-e", str(first))), command.Step(("touch", str(second)))]
    with pytest.raises(MapError, match="test -e"):
        TextMap(path, commands=steps).change([entry("192.0.2.7")], [])
    assert not second.exists()
    first.touch()
    TextMap(path, commands=steps).change([], [])
    assert second.exists()


def test_a_missing_standard_input_is_reported(path: Path, entry: Make) -> None:
    with pytest.raises(MapError, match="tee cannot read /nonexistent/x: No such file or directory"):
        TextMap(path, commands=[command.Step(("tee",), Path("/nonexistent/x"))]).change([entry("192.0.2.7")], [])


def test_made_anew_the_commands_run_with_the_next_change_even_an_empty_one(path: Path, entry: Make) -> None:
    made = path.with_name("made")
    relay = TextMap(path, command=["touch", str(made)])
    relay.change([entry("192.0.2.7")], [])
    made.unlink()
    relay.change([], [])
    assert not made.exists()
    relay.make_anew()
    relay.change([], [])
    assert made.exists()


def test_one_command_and_several_are_not_taken_together(
    path: Path, section: Callable[..., Section], refused: Refusals
) -> None:
    bad = section(path=str(path), command="true", commands=[{"run": ["true"]}])
    TextMap.from_section(bad)
    assert refused(bad) == [("commands", "says the same as command", "write one of the two")]
