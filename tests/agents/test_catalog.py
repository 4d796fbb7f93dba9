from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.errors import AgentError


class Mine(Agent):
    name = "mine"
    program = "mined"
    login = r"(?P<user>\S+) logged in from (?P<address>\S+)$"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points that other packages give; fill it."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(catalog, "_others", lambda: tuple(points))
    return points


def give(installed: list[EntryPoint], name: str, value: str) -> None:
    installed.append(EntryPoint(name, value, "poprelay.agents"))


def test_every_built_in_agent_is_found_under_its_own_name() -> None:
    assert {"dovecot", "qpopper", "uw-imap", "vpop3d"} <= {*catalog.names()}
    for name in catalog.names():
        assert catalog.find(name).name == name


def test_names_are_sorted_and_hold_other_packages_agents(installed: list[EntryPoint]) -> None:
    give(installed, "aardvark", "nowhere:Nothing")
    assert catalog.names()[0] == "aardvark"
    assert list(catalog.names()) == sorted(catalog.names())


def test_another_package_gives_an_agent(installed: list[EntryPoint]) -> None:
    give(installed, "mine", f"{__name__}:Mine")
    assert isinstance(catalog.find("mine"), Agent)


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    with pytest.raises(AgentError, match="no agent 'dovcot': did you mean 'dovecot'"):
        catalog.find("dovcot")


def test_a_name_unlike_all_gets_the_list() -> None:
    with pytest.raises(AgentError, match=r"no agent 'xyzzy': there are .*dovecot, "):
        catalog.find("xyzzy")


def test_a_name_given_twice_is_refused(installed: list[EntryPoint]) -> None:
    give(installed, "dovecot", "theirs:Dovecot")
    with pytest.raises(AgentError, match="'dovecot' is there more than once: in poprelay, theirs:Dovecot: uninstall"):
        catalog.find("dovecot")


def test_an_agent_that_needs_something_missing_says_so(installed: list[EntryPoint]) -> None:
    give(installed, "theirs", "no_such_module:Agent")
    with pytest.raises(AgentError, match=r"cannot be imported: No module named 'no_such_module'.*extras"):
        catalog.find("theirs")


def test_what_is_no_agent_is_refused(installed: list[EntryPoint]) -> None:
    give(installed, "path", "pathlib:Path")
    with pytest.raises(AgentError, match="not a class made from poprelay"):
        catalog.find("path")
