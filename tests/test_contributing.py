"""What CONTRIBUTING shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poprelay.cli.main import run
from poprelay.daemon.agents.linting import lint

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
SECTION = TEXT.partition("## An agent in ten lines")[2].partition("\n## ")[0]


def block(kind: str) -> str:
    found = re.search(rf"^```{kind}\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """The example's agent, with its samples beside it."""
    file = tmp_path / "tinypop.py"
    file.write_text(block("python"))
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "tinypop.log").write_text(block("text"))
    return file


def test_an_agent_for_a_new_server_takes_ten_lines() -> None:
    lines = [line for line in block("python").splitlines() if line.strip()]
    assert len(lines) <= 10


def test_the_agent_passes_with_its_samples(agent: Path) -> None:
    (linted,) = lint(str(agent))
    assert (linted.agent, linted.findings) == ("tinypop", ())


def test_without_its_samples_or_its_end_it_does_not_pass(agent: Path) -> None:
    agent.write_text(block("python").replace('+)$"\n    logout', '+)"\n    logout'))
    (linted,) = lint(str(agent))
    assert {finding.about for finding in linted.findings} == {"end", "samples", "attacks"}
    (agent.parent / "samples" / "tinypop.log").unlink()
    agent.write_text(block("python"))
    (linted,) = lint(str(agent))
    assert {finding.about for finding in linted.findings} == {"samples", "attacks", "templates"}


def test_a_config_that_names_its_directory_may_use_it(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent.parent.chmod(0o755)
    agent.chmod(0o644)
    config = agent.parent / "poprelay.toml"
    config.write_text(
        '[relay]\nperiod = "30m"\n[[sources]]\nkind = "file"\npath = "/var/log/mail.log"\nagents = ["tinypop"]\n'
        f'[daemon]\nagents_directory = "{agent.parent}"\n'
    )
    assert run(["check", "-c", str(config)]) == 0
    assert "with the agent tinypop." in capsys.readouterr().out
    assert run(["agents", "-c", str(config)]) == 0
    assert "tinypop: tinypop, by syslog." in capsys.readouterr().out
