"""Lines of real servers, kept beside the repository: every login is seen exactly, and no forged one ever is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from poprelay.agents import catalog
from poprelay.model import Event, Login

from .conftest import Scan

FILE = Path(__file__).parents[2].parent / "shared" / "corpus" / "logins.jsonl"
OURS = {*catalog.BUILTIN}
FORGED = "6.6.6.6"  # what attackers write, and nobody else

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"the corpus is not at {FILE}")

AGENTS = [catalog.find(name) for name in catalog.BUILTIN]


class Case(msgspec.Struct):
    id: str
    server: str
    lines: list[str]
    expect: list[dict[str, Any]]

    def logins(self) -> list[tuple[Any, ...]]:
        said = [event for event in self.expect if event["type"] == "login"]
        return [(event["user"], event["ip"], event["service"], event["tls"]) for event in said]

    def ends(self) -> list[tuple[Any, ...]]:
        said = [event for event in self.expect if event["type"] == "logout"]
        return [(event["user"], event["ip"], event["service"]) for event in said]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    # json, because lone surrogates stand for bytes that are not UTF-8, which msgspec refuses
    return [msgspec.convert(json.loads(line), Case) for line in FILE.read_bytes().split(b"\n") if line]


def logins(events: list[Event]) -> list[tuple[Any, ...]]:
    return [(event.user, event.address, event.service, event.tls) for event in events if isinstance(event, Login)]


def ends(events: list[Event]) -> list[tuple[Any, ...]]:
    return [(event.user, event.address, event.service) for event in events if not isinstance(event, Login)]


def servers(cases: list[Case]) -> Iterator[tuple[str, list[Case]]]:
    for server in sorted({case.server for case in cases}):
        yield server, [case for case in cases if case.server == server]


def test_every_login_of_our_servers_is_seen_exactly(cases: list[Case], scan: Scan) -> None:
    ours = [case for case in cases if case.server in OURS]
    seen = {case.id: logins(scan(AGENTS, case.lines)) for case in ours}
    assert seen == {case.id: case.logins() for case in ours}


def test_a_servers_own_agent_sees_them_alone(cases: list[Case], scan: Scan) -> None:
    for server, group in servers(cases):
        if server in OURS:
            own = [catalog.find(server)]
            seen = {case.id: logins(scan(own, case.lines)) for case in group}
            assert seen == {case.id: case.logins() for case in group}


def test_each_servers_cases_in_one_log_give_the_same(cases: list[Case], scan: Scan) -> None:
    for server, group in servers(cases):
        if server in OURS:
            seen = scan(AGENTS, [line for case in group for line in case.lines])
            assert logins(seen) == [login for case in group for login in case.logins()]


def test_every_end_of_a_session_that_is_listed_is_seen(cases: list[Case], scan: Scan) -> None:
    for case in cases:
        if case.server in OURS:
            seen = ends(scan(AGENTS, case.lines))
            assert [end for end in seen if end in case.ends()] == case.ends(), case.id


def test_lines_of_other_servers_give_no_login(cases: list[Case], scan: Scan) -> None:
    assert not [case.id for case in cases if case.server not in OURS and logins(scan(AGENTS, case.lines))]


def test_the_forged_address_is_never_named(cases: list[Case], scan: Scan) -> None:
    for server, group in servers(cases):
        seen = scan(AGENTS, [line for case in group for line in case.lines])
        assert not [event for event in seen if event.address == FORGED], server
