"""Every agent proves itself on its samples; one without samples or attacks does not pass."""

from __future__ import annotations

import re

import pytest

from poprelay.agents import catalog, proof
from poprelay.agents.base import Agent
from poprelay.agents.proof import Claim, Sample
from poprelay.errors import AgentError
from poprelay.model import Login
from poprelay.scan.needles import needles

from .conftest import Scan

AGENTS = [catalog.find(name) for name in catalog.BUILTIN]
EARLIEST_CUT = 256  # bytes of a line

SAMPLES = [(agent, sample) for agent in AGENTS for sample in proof.read(catalog.samples(agent) or "")]


@pytest.mark.parametrize("agent", AGENTS, ids=repr)
def test_every_agent_has_samples_and_attacks(agent: Agent) -> None:
    samples = proof.read(catalog.samples(agent) or "")
    assert any(claim.kind == "login" for sample in samples for claim in sample.claims)
    assert any("attack" in sample.reason for sample in samples)
    assert not agent.logout or any(claim.kind == "logout" for sample in samples for claim in sample.claims)


@pytest.mark.parametrize(("agent", "sample"), SAMPLES)
def test_a_sample_gives_exactly_what_it_claims(agent: Agent, sample: Sample, scan: Scan) -> None:
    assert tuple(map(proof.spelled, scan([agent], sample.lines))) == sample.claims


@pytest.mark.parametrize(("agent", "sample"), SAMPLES)
def test_a_sample_gives_the_same_with_all_agents_on(agent: Agent, sample: Sample, scan: Scan) -> None:
    assert tuple(map(proof.spelled, scan(AGENTS, sample.lines))) == sample.claims


@pytest.mark.parametrize(("agent", "sample"), [pair for pair in SAMPLES if pair[1].claims])
def test_every_line_that_is_an_event_has_a_needle(agent: Agent, sample: Sample) -> None:
    texts = [text.decode() for kind in needles(agent) for text in kind]
    assert all(any(text in line for text in texts) for line in sample.lines)


@pytest.mark.parametrize(("agent", "sample"), [pair for pair in SAMPLES if pair[1].claims])
def test_a_login_that_is_cut_anywhere_gives_nothing_or_the_right_address(
    agent: Agent, sample: Sample, scan: Scan
) -> None:
    *before, last = sample.lines
    right = {claim.fields.get("address") for claim in sample.claims}
    # a name may end wherever it likes, and an address end the line, but no syslog cuts one as early as that
    as_it_likes = "192.0.2.66" in last or last.endswith(tuple(filter(None, right)))
    for length in range(EARLIEST_CUT if as_it_likes else 0, len(last)):
        events = scan([agent], [*before, last[:length]])
        assert {event.address for event in events if event.address is not None} <= right


@pytest.mark.parametrize(
    ("agent", "sample"), [pair for pair in SAMPLES if any(c.kind == "login" for c in pair[1].claims)]
)
def test_a_login_whose_address_ends_a_line_that_may_have_been_cut_gives_nothing(
    agent: Agent, sample: Sample, scan: Scan
) -> None:
    *before, last = sample.lines
    (claim, *_) = sample.claims
    user, address = claim.fields.get("user", ""), claim.fields.get("address", "")
    if last.endswith(address) and user in last:
        assert not [
            event
            for event in scan([agent], [*before, last.replace(user, user + EARLIEST_CUT * "x")])
            if isinstance(event, Login)
        ]


@pytest.mark.parametrize("agent", AGENTS, ids=repr)
def test_no_sample_uses_an_address_of_a_real_host(agent: Agent) -> None:
    text = catalog.samples(agent) or ""
    known = r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|127\.0\.0\.1|0\.0\.0\.0"
    octet = r"(?<![\d.v])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.])"
    assert all(re.match(known, found) for found in re.findall(octet, text))


def test_samples_are_read_as_written() -> None:
    text = "# a remark\n\n#= login user='bob x' tls=no\nline 1\n"
    text += "#= login user=ann\n#= logout\nline 2\nline 3\n#! why\nline 4"
    assert proof.read(text) == (
        Sample(("line 1",), (Claim("login", {"user": "bob x", "tls": "no"}),), ""),
        Sample(("line 2", "line 3"), (Claim("login", {"user": "ann"}), Claim("logout", {})), ""),
        Sample(("line 4",), (), "why"),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("line\n", "line 1: no claim above it"),
        ("#= login usr=ann\nline\n", "line 1: 'login usr=ann' is no claim"),
        ("#! why\nline\n#= signin\nline\n", "line 3: 'signin' is no claim"),
        ("#= login user='\nline\n", "line 1"),
        ("#=\nline\n", "line 1"),
        ("#= login ann\nline\n", "line 1"),
    ],
)
def test_wrong_samples_are_refused_with_their_line(text: str, words: str) -> None:
    with pytest.raises(AgentError, match=re.escape(words)):
        proof.read(text)
