"""Configs that are refused, and configs that are accepted, each with what must be said about it.

`refused/*.toml` begin with all that is refused, in order: `#! line:column: key: what is wrong; the remedy`.
`accepted/*.toml` begin with sentences of what they would do (`#>`), and with all that is doubtful about them (`#?`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from poprelay.daemon.configure import read_config
from poprelay.errors import ConfigError

HERE = Path(__file__).parent
REFUSED = sorted(HERE.glob("refused/*.toml"))
ACCEPTED = sorted(HERE.glob("accepted/*.toml"))


def told(file: Path, mark: str) -> list[str]:
    return [line[3:] for line in file.read_text("utf-8").splitlines() if line.startswith(f"#{mark} ")]


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_a_refused_config_gets_just_the_messages_that_it_begins_with(file: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_config(file)
    assert list(refusal.value.problems) == [f"{file.name}:{line}" for line in told(file, "!")]


@pytest.mark.usefixtures("_accounts")
@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.stem)
def test_an_accepted_config_does_what_it_begins_with_and_is_doubted_for_no_more(file: Path, tmp_path: Path) -> None:
    own = Path(shutil.copyfile(file, tmp_path / file.name))
    own.chmod(0o644)
    config = read_config(own)
    sentences, wanted = config.sentences(), told(file, ">")
    assert [each for each in sentences if each in wanted] == wanted
    assert list(config.warnings) == [f"{file.name}:{line}" for line in told(file, "?")]


def test_the_least_config_says_all_that_it_does() -> None:
    least = HERE / "accepted" / "minimal.toml"
    assert read_config(least).sentences() == told(least, ">")


def test_every_message_is_one_line_that_nothing_in_the_config_can_forge() -> None:
    for file in REFUSED:
        assert all(line.isprintable() for line in told(file, "!")), file


def test_no_two_files_refuse_the_same_text() -> None:
    bodies = [file.read_text("utf-8").split("\n\n", 1)[1] for file in REFUSED]
    assert len(set(bodies)) == len(bodies) >= 40
