"""Whatever a client writes into what it controls, no address is named but the one that logged in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poprelay.agents import catalog, proof
from poprelay.agents.proof import Template
from poprelay.model import Login

from .conftest import Scan

FORGED = "6.6.6.6"

TEMPLATES = {name: proof.templates(catalog.samples(catalog.find(name)) or "") for name in catalog.BUILTIN}

# What an attacker would write: every server's own successes, whole and without their beginning or end, and the
# characters that stand between the parts.
MESSAGES = [
    line.replace(template.address, FORGED).replace(proof.CHOSEN, "bob")
    for templates in TEMPLATES.values()
    for template in templates
    if template.address is not None
    for line in template.lines
]
PIECES = sorted(
    {
        *MESSAGES,
        *(message.partition(": ")[2] for message in MESSAGES),
        *(message.partition("bob")[2] for message in MESSAGES),
        *(message.partition("bob")[0] for message in MESSAGES),
        *(message.partition(FORGED)[0] + FORGED for message in MESSAGES),
        *(
            "<",
            ">",
            ">, ",
            "(",
            ")",
            "[",
            "]",
            '"',
            "'",
            ",",
            " ",
            ": ",
            "#012",
            "\udcff",
            "\u2028",
            "\x00",
            "\r",
            "\t",
        ),
        *("Login: ", "Info: ", f"rip={FORGED}, lip=1.1.1.1", "TLS", f"[{FORGED}]", f"({FORGED})", FORGED, "@@"),
    }
)
AGENTS = {name: catalog.find(name) for name in catalog.BUILTIN}
EVERYONE = list(AGENTS.values())

chosen = st.lists(st.sampled_from(PIECES) | st.text(max_size=5).filter(lambda text: "\n" not in text), max_size=6).map(
    "".join
)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_agent_has_templates_of_logins_and_of_failures(name: str, scan: Scan) -> None:
    assert {template.address is None for template in TEMPLATES[name]} == {True, False}


@pytest.mark.parametrize(("name", "template"), [(name, one) for name in TEMPLATES for one in TEMPLATES[name]])
def test_a_template_filled_with_a_plain_name_is_what_it_says(name: str, template: Template, scan: Scan) -> None:
    events = scan([AGENTS[name]], template.filled("ann"))
    logins = [event.address for event in events if isinstance(event, Login)]
    assert logins == ([template.address] if template.address is not None else [])


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=60)
@given(text=chosen)
def test_no_text_of_a_client_names_another_address(name: str, text: str, scan: Scan) -> None:
    for template in TEMPLATES[name]:
        events = scan([AGENTS[name]], template.filled(text))
        logins = [event for event in events if isinstance(event, Login)]
        assert {event.address for event in logins} <= {template.address}
        assert len(logins) <= 1
        assert FORGED not in {event.address for event in events}


@settings(max_examples=100)
@given(text=chosen)
def test_no_text_of_a_client_means_another_address_to_some_other_agent(text: str, scan: Scan) -> None:
    for templates in TEMPLATES.values():
        for template in templates:
            logins = [event for event in scan(EVERYONE, template.filled(text)) if isinstance(event, Login)]
            assert {event.address for event in logins} <= {template.address}
            assert len(logins) <= 1


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("limit", [1024, 8096])
def test_a_line_that_syslog_cut_within_a_long_name_names_nobody_else(name: str, limit: int, scan: Scan) -> None:
    for template in TEMPLATES[name]:
        lines = []
        for piece in PIECES:
            room = limit - max(line.find(proof.CHOSEN) for line in template.lines) - len(piece)
            lines += [line[:limit] for line in template.filled("x" * room + piece)]
        logins = {event.address for event in scan([AGENTS[name]], lines) if isinstance(event, Login)}
        assert logins <= {template.address}


@settings(max_examples=60)
@given(host=st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True) | st.just(FORGED))
def test_a_host_name_is_no_address(host: str, scan: Scan) -> None:
    for name, templates in TEMPLATES.items():
        for template in templates:
            if template.address is not None:
                lines = [line.replace("client.example.net", host) for line in template.filled("ann")]
                assert [event.address for event in scan([AGENTS[name]], lines)] == [template.address]
