"""Agents in Python files: what is loaded, and what is refused, since it is code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.daemon.agents.agentfiles import load_file, load_folder
from poprelay.daemon.configure import read_config, read_own_agents
from poprelay.errors import AgentError, ConfigError

AGENT = """
import poprelay
from poprelay.agents.dovecot import Dovecot

class Tiny(poprelay.Agent):
    name = "{name}"
    program = "tinyd"
    login = r"user (?P<user>[^ ]+) came from (?P<address>[0-9a-fA-F.:]+)$"

if __name__ == "__main__":
    poprelay.run(Tiny)
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test adds to the catalog is not there for the next one."""
    monkeypatch.setattr(catalog, "_ADDED", {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "agents"
    made.mkdir(mode=0o755)
    return made


def write(folder: Path, file: str, text: str) -> Path:
    path = folder / file
    path.write_text(text)
    path.chmod(0o644)
    return path


def loaded(folder: Path, known: tuple[str, ...] = ()) -> list[str]:
    """The agents by name, and what is wrong by its sentence."""
    return [each.name if isinstance(each, Agent) else str(each) for each in load_folder(folder, known)]


def test_each_file_gives_the_agents_that_it_defines_and_no_imported_ones(folder: Path) -> None:
    write(folder, "b.py", AGENT.format(name="b"))
    write(folder, "a.py", AGENT.format(name="a") + AGENT.format(name="a2").replace("Tiny", "Tiny2"))
    write(folder, "notes.txt", "not Python")
    assert loaded(folder) == ["a", "a2", "b"]


def test_samples_lie_beside_it(folder: Path) -> None:
    file = write(folder, "a.py", AGENT.format(name="tiny"))
    (agent,) = load_file(file)
    assert catalog.samples(agent) is None
    (folder / "samples").mkdir()
    write(folder / "samples", "tiny.log", "#! nothing\nx\n")
    assert catalog.samples(agent) == "#! nothing\nx\n"


def test_nothing_is_left_in_the_folder(folder: Path) -> None:
    write(folder, "a.py", AGENT.format(name="a"))
    loaded(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a.py"]


@pytest.mark.parametrize(("mode", "who"), [(0o664, "its group"), (0o646, "others"), (0o666, "others")])
def test_a_file_that_others_may_write_is_refused_and_not_run(folder: Path, mode: int, who: str) -> None:
    path = write(folder, "a.py", "raise SystemExit('it was run')")
    path.chmod(mode)
    assert loaded(folder) == [f"{path} can be written by {who}, and it is code that the daemon runs: chmod go-w {path}"]


def test_a_folder_that_others_may_write_is_refused(folder: Path) -> None:
    write(folder, "a.py", AGENT.format(name="a"))
    folder.chmod(0o777)
    (said,) = loaded(folder)
    assert said.startswith(f"{folder} can be written by others")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_refused(folder: Path, what: str) -> None:
    path = write(folder, "a.py", AGENT.format(name="a"))
    given = path if what == "file" else folder
    os.chown(given, 4711, -1)
    (said,) = loaded(folder)
    assert said.startswith(f"{given} belongs to user 4711, and must be root's or the daemon's own user's")
    assert said.endswith(f"chown root {given}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class A(", ":1: '(' was never closed: mend the file"),
        ("import no_such_module", ":1 cannot be run: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\nraise SystemExit(3)", ':2 ends the program when it is loaded: write `if __name__ == "__main__":`'),
        (AGENT.format(name="x").replace("if __", "if not __"), ":11 ends the program when it is loaded"),
        ("x = 1", " defines no agent"),
        (AGENT.format(name="bad").replace("(?P<user>[^ ]+)", "x"), "the login pattern has no group 'user'"),
        (AGENT.format(name="dovecot"), "there is an agent 'dovecot' already: give it another name"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_and_the_others_are_loaded(folder: Path, text: str, words: str) -> None:
    write(folder, "a.py", text)
    write(folder, "b.py", AGENT.format(name="b"))
    wrong, other = loaded(folder, ("dovecot",))
    assert words in wrong
    assert other == "b"


def test_two_files_with_one_name_are_told(folder: Path) -> None:
    write(folder, "a.py", AGENT.format(name="tiny"))
    write(folder, "b.py", AGENT.format(name="tiny"))
    first, second = loaded(folder)
    assert first == "tiny"
    assert f"{folder}/b.py: there is an agent 'tiny' already in {folder}/a.py" in second


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="cannot be run: FileNotFoundError"):
        load_file(tmp_path / "none.py")


CONFIG = """
[relay]
period = "30m"
[[sources]]
kind = "file"
path = "/var/log/mail.log"
agents = ["tiny"]
[daemon]
agents_directory = "{folder}"
"""


def test_a_config_knows_the_agents_of_its_directory(folder: Path, tmp_path: Path) -> None:
    write(folder, "a.py", AGENT.format(name="tiny"))
    config = write(tmp_path, "poprelay.toml", CONFIG.format(folder=folder))
    assert [agent.name for part in read_config(config).sources for agent in part.agents] == ["tiny"]
    assert list(read_own_agents(config)) == ["tiny"]


def test_whatever_changes_in_such_an_agent_changes_its_source(folder: Path, tmp_path: Path) -> None:
    config = write(tmp_path, "poprelay.toml", CONFIG.format(folder=folder))
    specs = []
    for more in (
        "    connect_lasts = 60.0",
        "    def tls(self, said): return True",
        "    def tls(self, said): return None",
    ):
        write(folder, "a.py", AGENT.format(name="tiny").replace("\n\nif", f"\n{more}\n\nif"))
        (part,) = read_config(config).sources
        assert part.spec not in specs
        specs.append(part.spec)


def test_a_config_is_refused_with_all_that_is_wrong_there(folder: Path, tmp_path: Path) -> None:
    write(folder, "a.py", "x = 1")
    write(folder, "b.py", "class A(").chmod(0o666)
    config = write(tmp_path, "poprelay.toml", CONFIG.format(folder=folder))
    with pytest.raises(ConfigError) as refusal:
        read_config(config)
    assert [problem.partition(": ")[0] for problem in refusal.value.problems] == [
        "poprelay.toml:7:11",
        "poprelay.toml:9:1",
        "poprelay.toml:9:1",
    ]
    assert "daemon.agents_directory: " in refusal.value.problems[1]
