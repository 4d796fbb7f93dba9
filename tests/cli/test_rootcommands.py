"""`poprelay root-commands`."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path

import pytest

POPRELAY = Path(sys.executable).with_name("poprelay")


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A directory in which `good` and `bad` are asked for; beside it root's list."""
    requests = tmp_path / "root" / "requests"
    requests.mkdir(parents=True)
    for name in ("good", "bad"):
        (requests / f"{name}.request").write_text("1\n")
    (tmp_path / "root.toml").write_text(
        f'user = "{getpass.getuser()}"\n'
        '[[commands]]\nname = "good"\nsteps = [{ run = ["/bin/true"] }]\n'
        '[[commands]]\nname = "bad"\nsteps = [{ run = ["/bin/false"] }]\n'
    )
    return requests.parent


def ran(*words: object) -> tuple[int, str, str]:
    line = [str(POPRELAY), "root-commands", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_it_says_what_was_done_and_what_failed_and_ends_with_1(asked: Path) -> None:
    code, out, err = ran("--list", asked.parent / "root.toml", "--directory", asked)
    assert (code, out) == (1, "good: done\n")
    assert "bad: /bin/false failed (exit code 1)" in err
    assert ran("--list", asked.parent / "root.toml", "--directory", asked) == (0, "", "")


def test_check_names_the_commands_and_runs_none(asked: Path) -> None:
    assert ran("--list", asked.parent / "root.toml", "--check") == (0, "good\nbad\n", "")
    assert len(list((asked / "requests").iterdir())) == 2


def test_a_list_or_a_directory_that_is_not_there_is_told_with_what_makes_it(asked: Path) -> None:
    code, _, err = ran("--list", asked.parent / "none.toml", "--check")
    assert (code, err) == (
        78,
        f"poprelay: there is no list {asked.parent}/none.toml; poprelay setup writes it where it is needed\n",
    )
    code, _, err = ran("--list", asked.parent / "root.toml", "--directory", asked.parent / "none")
    assert code == 1
    assert err.endswith("No such file or directory: run: systemd-tmpfiles --create poprelay.conf\n")


def test_a_list_that_is_wrong_ends_with_78(asked: Path) -> None:
    (asked.parent / "root.toml").write_text("[[commands]]\n")
    code, _, err = ran("--list", asked.parent / "root.toml", "--directory", asked)
    assert code == 78
    assert "root.toml:1:1: commands[0]: name is missing" in err
    assert list((asked / "requests").iterdir()) == []
