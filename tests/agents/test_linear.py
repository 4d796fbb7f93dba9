"""No line, whatever a client wrote into it, keeps an agent's patterns busy for longer than its length explains."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from poprelay.agents import catalog, proof
from poprelay.agents.base import Agent
from poprelay.scan import Scanner
from poprelay.scan.headers import split
from poprelay.scan.rows import MARK, Columns

SHORT, LONG = 16 * 1024, 64 * 1024 - 256
FLOOR = 0.005  # seconds; going over 16 KiB again for each of its bytes takes ten times that
UNITS = [bytes([byte]) for byte in b"a0 .:,;<>()[]{}'\"=/@-_*#\\"] + [
    b"a ",
    b", ",
    b": ",
    b"\t",
    b"\xc3\xbc",
    b"1.1.1.1 ",
]
AGENTS = {name: catalog.find(name) for name in catalog.BUILTIN}


def messages(agent: Agent) -> list[bytes]:
    """What the agent sees of its samples and templates."""
    text = catalog.samples(agent) or ""
    lines = [line for sample in proof.read(text) for line in sample.lines]
    lines += [line for template in proof.templates(text) for line in template.filled("ann")]
    columns, found = Columns(), []
    for line in (line.encode("utf-8", "surrogateescape") for line in lines):
        header = split(line)
        if line.startswith(MARK):
            columns.learn(line)
        elif header is not None:
            found.append(columns.pick(header.message, agent.columns) if agent.columns else header.message)
    return list(dict.fromkeys(message for message in found if message))


def patterns(agent: Agent) -> list[re.Pattern[bytes]]:
    several = (agent.login_patterns, agent.logout_patterns, agent.connect_patterns, agent.end_patterns)
    return [pattern for one in several for pattern in one] + ([agent.resembling] if agent.resembling else [])


def hostile(pattern: re.Pattern[bytes], seen: list[bytes], length: int) -> Iterator[bytes]:
    """Messages of about that length: a long run where the pattern's groups begin and end, and a tail that is wrong."""
    taken = [found for found in map(pattern.match, seen) if found is not None][:3]
    for found in taken:
        text = found.string
        edges = sorted({place for group in range(pattern.groups + 1) for place in found.span(group) if place >= 0})
        pieces = {text[low:high] for low, high in pairwise(edges) if high - low > 1}
        for unit in (*UNITS, *pieces):
            run = unit * ((length - len(text)) // len(unit))
            for edge in edges:
                yield text[:edge] + run + text[edge:] + b"\x01"
                yield text[:edge] + run
    if not taken:
        for unit in UNITS:
            yield from (text[: len(text) // 2] + unit * (length // len(unit)) for text in seen)


def spent(pattern: re.Pattern[bytes], message: bytes, times: int = 1) -> float:
    """Seconds of CPU for one match: the least of several."""
    least = float("inf")
    for _ in range(times):
        before = time.process_time()
        pattern.match(message)
        least = min(least, time.process_time() - before)
    return least


@pytest.mark.parametrize("name", AGENTS)
def test_a_hostile_message_takes_its_time_in_proportion_to_its_length(name: str) -> None:
    agent = AGENTS[name]
    seen = messages(agent)
    for pattern in patterns(agent):
        for short, long in zip(hostile(pattern, seen, SHORT), hostile(pattern, seen, LONG), strict=True):
            if spent(pattern, short) > FLOOR and spent(pattern, short, 3) > FLOOR:
                assert spent(pattern, long, 2) < 8 * spent(pattern, short, 3), (pattern.pattern, short[:200])


@pytest.mark.parametrize("name", AGENTS)
def test_a_hostile_line_of_64_kibibytes_is_read_in_no_time(name: str) -> None:
    agent = AGENTS[name]
    text = catalog.samples(agent) or ""
    scanner = Scanner([agent], source="log")
    for template in proof.templates(text)[:4]:
        for unit in ("a", " ", "0", ">", ", ", "(", '"', "]", "user=<", "1.1.1.1 "):
            lines = template.filled(unit * (LONG // len(unit) // 2))
            block = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
            before = time.process_time()
            scanner.scan(block, now=2e9, horizon=2e9)
            assert time.process_time() - before < 0.5, unit


def test_a_pattern_that_backtracks_badly_would_be_found() -> None:
    bad = re.compile(rb"user=(?P<user>(?:\w+ ?)*) from (?P<address>\S+) .* .* .*end$")
    message = next(iter(hostile(bad, [b"user=ann from 1.1.1.1 a b c end"], 64)))
    assert message
    worse = re.compile(rb"(?P<user>.*) .*x(?P<address>\S+)$")
    assert spent(worse, b"a " * 4096) > 3 * spent(worse, b"a " * 1024)
