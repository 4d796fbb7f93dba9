"""The rules for patterns: anchored, no catch-all that an address hides behind, linear on any line."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from poprelay import agents, scan
from poprelay.agents import catalog, patterns, proof
from poprelay.agents.base import Agent
from poprelay.agents.patterns import tree
from poprelay.errors import AgentError
from poprelay.scan.headers import split
from poprelay.scan.needles import LIMIT, needles

AGENTS = [catalog.find(name) for name in catalog.BUILTIN]
LOGINS = [(agent.name, pattern.pattern.decode()) for agent in AGENTS for pattern in agent.login_patterns]
LONG = 65536
REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}
UNBOUNDED = 1000


def walk(parsed: Any) -> Iterator[tuple[str, Any]]:
    """Every element of a pattern, outer before inner."""
    for operation, argument in parsed:
        yield str(operation), argument
        for inner in inside(str(operation), argument):
            yield from walk(inner)


def inside(operation: str, argument: Any) -> list[Any]:
    match operation:
        case "SUBPATTERN":
            return [argument[3]]
        case "BRANCH":
            return list(argument[1])
        case "ATOMIC_GROUP":
            return [argument]
        case "ASSERT" | "ASSERT_NOT":
            return [argument[1]]
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [argument[2]]
    return []


def ends_anchored(parsed: Any) -> bool:
    operation, argument = str(parsed[-1][0]), parsed[-1][1]
    if operation == "BRANCH":
        return all(ends_anchored(branch) for branch in argument[1])
    return operation == "AT" and str(argument) in {"AT_END", "AT_END_STRING"}


def gives_back(operation: str, argument: Any) -> bool:
    """An unbounded repeat that may end in many places."""
    return operation in REPEATS and argument[1] >= UNBOUNDED


def faults(pattern: str) -> list[str]:
    parsed = tree(pattern)
    found = []
    anchored = ends_anchored(parsed)
    if not anchored:
        found.append("its end is open")
    before: list[tuple[str, Any]] = []
    for operation, argument in walk(parsed):
        if operation == "SUBPATTERN" and argument[0] == parsed.state.groupdict.get("address"):
            break
        before.append((operation, argument))
    for operation, argument in before:
        greedy = gives_back(operation, argument) and any(str(inner[0]) == "ANY" for inner in walk(argument[2]))
        if greedy and not anchored:
            found.append("a catch-all stands before the address")
    for operation, argument in walk(parsed):
        if gives_back(operation, argument) and any(gives_back(*inner) for inner in walk(argument[2])):
            found.append("a repeat inside a repeat")
    return found


@pytest.mark.parametrize(("name", "pattern"), LOGINS)
def test_a_login_pattern_keeps_the_rules(name: str, pattern: str) -> None:
    assert not faults(pattern)


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (r"ok (?P<user>\S+) (?P<address>[0-9.]+)", "its end is open"),
        (r".+user=(?P<user>\w+) host=.*\[(?P<address>[0-9.]+)\] nmsgs=", "a catch-all stands before the address"),
        (r"(?P<user>(?:\w+ ?)+) (?P<address>[0-9.]+)$", "a repeat inside a repeat"),
        (r"(?:a (?P<user>\S+) (?P<address>[0-9.]+)$|b)", "its end is open"),
    ],
)
def test_a_pattern_that_breaks_a_rule_is_found(pattern: str, fault: str) -> None:
    assert fault in faults(pattern)


def samples(agent: Agent) -> list[bytes]:
    """Messages that are events, and messages of its program that are not."""
    found = []
    for sample in proof.read(catalog.samples(agent) or ""):
        for line in sample.lines:
            header = split(line.encode())
            if header is not None:
                found.append(header.message)
    return found


def hostile(messages: list[bytes]) -> Iterator[bytes]:
    """Long lines that keep an expression busy: parts of real messages, over and over, with every right beginning."""
    seen = set()
    for message in messages:
        tokens = re.findall(rb"[\w.]+|\W+", message)
        for index in range(1, len(tokens)):
            start = b"".join(tokens[:index])
            for width in (1, 2, 4):
                part = b"".join(tokens[index : index + width])
                shape = re.sub(rb"\d+", b"0", start), part
                if shape not in seen and part:
                    seen.add(shape)
                    yield start + part * ((LONG - len(start)) // len(part))
        yield message[:40] + b"1" * LONG
        yield message + message * (LONG // len(message))


def slowest(patterns: list[re.Pattern[bytes]], lines: Iterator[bytes]) -> tuple[float, str]:
    worst = (0.0, "")
    for line in lines:
        for pattern in patterns:
            before = time.process_time()
            pattern.match(line)
            worst = max(worst, (time.process_time() - before, f"{pattern.pattern!r} on {line[:200]!r}..."))
    return worst


@pytest.mark.parametrize("agent", AGENTS, ids=repr)
def test_no_pattern_is_slow_on_a_hostile_line(agent: Agent) -> None:
    patterns = [*agent.login_patterns, *agent.logout_patterns]
    if agent.resembling is not None:
        patterns.append(agent.resembling)
    spent, where = slowest(patterns, hostile(samples(agent)[:8]))
    assert spent < 0.05, where


def test_the_hostile_lines_do_find_a_slow_pattern() -> None:
    poprelays = re.compile(rb".+user=(?P<user>\w+) host=.*\[(?P<address>[0-9.]+)\] nmsgs=")
    spent, _ = slowest([poprelays], iter([b"Login user=x host=" + b"user=x host=" * (LONG // 12)]))
    assert spent > 0.05


def test_all_agents_together_need_few_needles() -> None:
    texts = {text for agent in AGENTS for kind in needles(agent) for text in kind}
    assert len(texts) < LIMIT
    assert min(map(len, texts)) >= 4


OURS = [
    (f"{module.name}.{name}", value.pattern)
    for package in (agents, scan)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    for name, value in vars(importlib.import_module(module.name)).items()
    if isinstance(value, re.Pattern)
]


def test_no_expression_of_ours_is_one_that_an_older_python_misreads(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text.decode("latin-1") if isinstance(text, bytes) else text for _, text in OURS]
    assert len(texts) > 20
    assert [text for text in texts if patterns._POSSESSIVE.search(text)] == []
    monkeypatch.setattr(patterns, "_SOUND", (99,))
    for agent in AGENTS:
        type(agent)()


@pytest.mark.parametrize("text", ["(?: ok)?+", "(?:ok )*+", "(?P<tls>x)++", "(?:x){1,3}+"])
def test_an_older_python_is_given_no_pattern_that_it_misreads(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = rf"{text}from (?P<user>\S++) (?P<address>[0-9.]++)$"
    assert patterns.compiled("mine", "login", pattern).groups >= 2
    monkeypatch.setattr(patterns, "_SOUND", (99,))
    with pytest.raises(AgentError, match="possessive repeat of a group at character"):
        patterns.compiled("mine", "login", pattern)
