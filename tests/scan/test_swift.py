"""The short way is only a short way: what it gives, the long way gives too."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poprelay.agents import catalog, proof
from poprelay.agents.base import Agent
from poprelay.model import Event
from poprelay.scan import Scanner
from poprelay.scan.reader import Form, Reader
from poprelay.scan.swift import Swift

NOW = 1796000000.0
AGENTS = [catalog.find(name) for name in catalog.BUILTIN]
SAMPLES = [
    [line.encode("utf-8", "surrogateescape") for line in sample.lines]
    for agent in AGENTS
    for sample in proof.read(catalog.samples(agent) or "")
]


def scanner() -> Scanner:
    return Scanner(AGENTS, source="log", zone=ZoneInfo("UTC"))


def read(on: Scanner, lines: list[bytes]) -> list[Event]:
    return list(on.scan(b"".join(line + b"\n" for line in lines), now=NOW, horizon=NOW).events)


def long_way(on: Scanner) -> Scanner:
    on._roster.swifts[:] = [None] * len(on.needles)
    return on


@settings(max_examples=60)
@given(data=st.data())
def test_a_log_gives_the_same_on_both_ways(data: st.DataObject) -> None:
    groups = data.draw(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=6))
    lines = [line for group in groups for line in group] * 2
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(lines) - 1))
        place = data.draw(st.integers(0, len(lines[at])))
        piece = data.draw(
            st.sampled_from([b" ", b": ", b"[", b"]", b"[7]", b"[ID 7 mail.info] ", b"\t", b"x", b"<22>"])
        )
        lines[at] = lines[at][:place] + piece + lines[at][place:]
    assert read(scanner(), lines) == read(long_way(scanner()), lines)


def test_the_short_way_is_taken() -> None:
    on = scanner()
    line = b"Nov 23 12:18:06 mx dovecot: imap(ann)<1><S>: Disconnected: Logged out in=1 out=2"
    assert len(read(on, [line, line, line])) == 3
    assert any(swift is not None and b" mx dovecot" in swift.known for swift in on._roster.swifts)


@pytest.mark.parametrize("login", [r"(?<=: )ok", r"(?P<x>a)?b(?(1)c|d)", r"(a)\1", r"(?i)ok"])
def test_a_pattern_that_depends_on_what_stands_before_it_is_read_the_long_way(login: str) -> None:
    agent = Agent(name="odd", program="oddd", login=r"ok (?P<user>\w+) (?P<address>\S+)$")
    reader = Reader(agent, "oddd", (b"ok ",))
    with pytest.raises(ValueError, match="depends on where"):
        Swift(Form(re.compile(login.encode()), True), [reader])


def test_a_solaris_prefix_is_no_part_of_the_message_on_either_way() -> None:
    agent = Agent(name="a", program="d", login=r"(?:\[ID 7 mail\.info\] )?let in (?P<user>\w+) (?P<address>\S+)$")
    on = Scanner([agent], source="log")
    plain, solaris = (
        b"Nov 23 12:18:06 mx d: let in ann 192.0.2.7",
        b"Nov 23 12:18:06 mx d: [ID 7 mail.info] let in bob 192.0.2.7",
    )
    assert [event.user for event in read(on, [plain, plain, solaris, plain])] == ["ann", "ann", "bob", "ann"]
