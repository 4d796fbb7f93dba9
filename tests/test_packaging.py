"""What is packaged says what the program does."""

from __future__ import annotations

import runpy
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent.parent / "packaging"


def test_there_is_a_man_page_for_each_command_and_it_says_what_the_command_says() -> None:
    made = runpy.run_path(str(PACKAGING / "manpages.py"))["pages"]()
    assert {page.name: page.read_text() for page in (PACKAGING / "man").iterdir()} == made
