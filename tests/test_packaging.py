"""What is packaged says what the program does."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from poprelay.daemon.configure import read_config
from poprelay.daemon.heritage.legacy import old_config, read_old

PACKAGING = Path(__file__).resolve().parent.parent / "packaging"


def test_there_is_a_man_page_for_each_command_and_it_says_what_the_command_says(tmp_path: Path) -> None:
    # In a process of its own: click keeps the help option of the first context in which it was asked for it.
    subprocess.run([sys.executable, PACKAGING / "manpages.py", tmp_path], check=True)
    made, kept = (
        {page.name: page.read_text() for page in folder.iterdir()} for folder in (tmp_path, PACKAGING / "man")
    )
    assert made.keys() == kept.keys()
    assert not [name for name in made if made[name] != kept[name]]


def test_the_samples_in_our_own_form_are_what_import_makes_of_the_old_ones() -> None:
    made = runpy.run_path(str(PACKAGING / "samples.py"))["samples"]()
    assert {file.name: file.read_text() for file in (PACKAGING / "samples").glob("*.toml")} == made


@pytest.mark.parametrize("sample", sorted((PACKAGING / "samples").iterdir()), ids=lambda file: file.name)
def test_every_sample_is_accepted_in_both_forms(sample: Path) -> None:
    config = read_config(sample) if sample.suffix == ".toml" else old_config(read_old(sample), sample)
    assert [part.kind for part in config.maps] == ["spool", "text"]


def test_there_is_a_sample_for_each_system_and_mta() -> None:
    systems, mtas = ("debian", "redhat", "slackware", "suse"), ("sendmail", "exim", "postfix")
    assert {file.stem for file in (PACKAGING / "samples").iterdir()} == {
        f"{one}-{mta}" for one in systems for mta in mtas
    }
