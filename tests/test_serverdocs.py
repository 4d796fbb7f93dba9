"""The pages about servers say what the agents say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from poprelay.agents import catalog

ROOT = Path(__file__).resolve().parents[1]
SERVERS = ROOT / "docs" / "servers"


def test_every_page_is_what_the_agents_make_of_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "packaging/serverdocs.py", tmp_path], check=True)
    made = {page.name: page.read_text() for page in tmp_path.iterdir()}
    kept = {page.name: page.read_text() for page in SERVERS.iterdir()}
    by_hand = {"not-attributable.md"}
    assert made.keys() == kept.keys() - by_hand
    assert [name for name in made if made[name] != kept[name]] == []


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_every_agent_says_which_versions_it_knows_and_shows_lines_of_both_kinds(name: str) -> None:
    agent = catalog.find(name)
    text = (SERVERS / f"{name}.md").read_text()
    assert agent.versions
    assert "## Lines that it reads\n\n" in text
    assert "## Lines that give nothing\n\n" in text
    assert ("What is not safe" in text) == agent.raw_names


def test_the_servers_that_log_raw_names_are_those_that_were_seen_to() -> None:
    raw = {name for name in catalog.BUILTIN if catalog.find(name).raw_names}
    assert raw == {"dbmail", "imapproxy", "nginx-mail", "perdition", "uw-imap"}
