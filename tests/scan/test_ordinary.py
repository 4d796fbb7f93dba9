from __future__ import annotations

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.scan import Scanner
from poprelay.scan.needles import needles
from poprelay.scan.ordinary import LINES, common


def test_a_needle_of_ordinary_lines_is_named_with_such_a_line() -> None:
    agent = Agent(name="odd", program="oddd", login=r"connect from (?P<user>\w+) \[(?P<address>[0-9.]+)\]$")
    (found,) = common(needles(agent)[0])
    assert found.needle == b"connect from "
    assert found.needle in found.line


def test_a_rare_needle_is_not_named() -> None:
    assert common([b"Login: user=<"]) == []


def test_no_built_in_needle_is_common() -> None:
    agents = [catalog.find(name) for name in catalog.BUILTIN]
    assert common(Scanner(agents, source="log").needles) == []


def test_ordinary_lines_are_no_logins() -> None:
    agents = [catalog.find(name) for name in catalog.BUILTIN]
    block = b"".join(b"Nov 23 12:18:06 mx " + line + b"\n" for line in LINES)
    assert Scanner(agents, source="log").scan(block, now=2e9, horizon=2e9).events == []
