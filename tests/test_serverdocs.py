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
def test_every_agent_says_which_versions_it_knows_what_to_switch_on_and_what_is_not_safe(name: str) -> None:
    agent = catalog.find(name)
    text = (SERVERS / f"{name}.md").read_text()
    safety = text.partition("## What is not safe\n\n")[2].partition("\n\n## ")[0]
    assert agent.versions
    assert f"**Versions:** {agent.versions}." in text
    assert agent.needs
    assert f"**Switch on:** {agent.needs}" in text
    assert safety.startswith(agent.unsafe)
    assert len(safety) > len(agent.unsafe)  # and what a newline in a user name does


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_every_page_shows_lines_of_all_kinds(name: str) -> None:
    text = (SERVERS / f"{name}.md").read_text()
    for title in ("Lines that it reads", "Lines that give nothing", "Lines that it is not fooled by"):
        shown = text.partition(f"## {title}\n\n")[2].partition("\n## ")[0]
        assert ":\n\n    " in shown


def test_every_agent_has_a_row_in_the_table() -> None:
    rows = [
        line for line in (SERVERS / "README.md").read_text().splitlines() if line.startswith("| ") and ".md)" in line
    ]
    assert [row.split(" | ")[1] for row in rows] == [f"[{name}]({name}.md)" for name in catalog.BUILTIN]
    assert {row.count(" | ") for row in rows} == {6}


def test_what_becomes_of_a_newline_is_said_as_it_was_seen_and_else_not_known() -> None:
    found = {name: catalog.find(name).raw_names for name in catalog.BUILTIN}
    assert {name for name, raw in found.items() if raw} == {"dbmail", "imapproxy", "nginx-mail", "perdition", "uw-imap"}
    assert {name for name, raw in found.items() if raw is False} == {"courier", "cyrus", "dovecot"}


@pytest.mark.parametrize("server", ["GNU mailutils", "DBMail's `pop3d`", "HAProxy", "vm-pop3d over IPv6"])
def test_a_page_says_whose_logins_cannot_be_attributed(server: str) -> None:
    text = (SERVERS / "not-attributable.md").read_text()
    assert "grants nothing" in text
    assert f"| {server}" in text
