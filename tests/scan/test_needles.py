from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.errors import AgentError
from poprelay.scan import Scanner
from poprelay.scan.needles import LIMIT, derived, fewest, needles


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"login ok user=(?P<user>[^ ]+) from=(?P<address>[0-9.]+)", [b"login ok user="]),
        (r"x(?P<user>\S+) logged in(?: again)? from host", [b" logged in from host", b" logged in again from host"]),
        (r"(?:Login|Logged in) by", [b"Login by", b"Logged in by"]),
        (r"(?P<a>(?:deep (?P<b>er)) text)", [b"deep er text"]),
        (r"begin(?=look)(?:inside )+end", [b"inside "]),
        # in a journal's JSON a quote has a backslash before it
        (r'user "ann" logged in', [b" logged in"]),
        # what is not always there is no needle
        (r"a(?:optional)?b|c", []),
        (r"(?:repeated)*abc", []),
        (r"(?i)any case", []),
        (r"(?i:any case) ok", []),
        (r"abc", []),
        (r"one of [0-9]{2,3} many", [b"one of "]),
    ],
)
def test_needles_are_read_off_the_pattern(pattern: str, texts: list[bytes]) -> None:
    assert list(derived(pattern)) == texts


def test_a_needle_that_says_more_is_worth_more_needles_but_not_many() -> None:
    assert len(derived(r"(?:a|b|c|d|e|f|g|h|i)-login: (?:Login|Logged in): user=<")) == 2


def test_a_pattern_without_text_of_its_own_is_refused_with_the_remedy() -> None:
    agent = Agent(name="bare", program="d", login=r"(?P<user>\w+) (?P<address>\S+)$")
    with pytest.raises(AgentError, match=r"no text of 4 characters.*give the agent `login_needles`"):
        needles(agent)


def test_given_needles_take_the_place_of_found_ones() -> None:
    class Given(Agent):
        name = "given"
        program = "d"
        login = r"(?P<user>\w+) (?P<address>\S+)$"
        login_needles = ("d: ",)

    assert needles(Given()) == ((b"d: ",), ())


def test_all_built_in_agents_together_need_few_needles() -> None:
    agents = [catalog.find(name) for name in catalog.BUILTIN]
    assert len(Scanner(agents, source="log", near_misses=True).needles) <= LIMIT


def test_a_needle_that_contains_another_is_left_out_and_nothing_is_lost() -> None:
    assert fewest([b"user logged in", b"logged in", b"in", b"in", b"out"]) == (b"in", b"out")
    long = Agent(name="long", program="d", login=r"now logged in: (?P<user>\w+) (?P<address>\S+)$")
    short = Agent(name="short", program="d", login=r"gged in: (?P<user>\w+) (?P<address>\S+)$")
    on = Scanner([long, short], source="log")
    assert b"gged in: " in on.needles
    assert len(on.needles) == 3  # and those of a journal's bytes
    block = b"Nov 23 12:18:06 mx d: now logged in: ann 192.0.2.7\nNov 23 12:18:06 mx d: gged in: bob 192.0.2.7\n" * 2
    assert [event.agent for event in on.scan(block, now=2e9, horizon=2e9).events] == ["long", "short"] * 2


def test_an_agent_that_joins_lines_is_found_by_its_programs() -> None:
    class Joining(Agent):
        name = "joining"
        program = ("popd", "*/popd")
        connect = r"from (?P<address>\S+)$"
        login = r"ok (?P<user>\S+)$"

    assert needles(Joining()) == ((b"popd", b"/popd"), ())


def test_an_agent_that_reads_rows_sees_their_names() -> None:
    assert b"#Fields:" in needles(catalog.find("exchange"))[0]


words = st.sampled_from(
    ["abcd", "login", r"\d+", "[xyz]", "(?:one|two)", "(?:maybe)?", " ok ", r"\.", ".*", "(?:ab|c+)"]
)


@given(parts=st.lists(words, min_size=1, max_size=6), data=st.data())
def test_whatever_a_pattern_takes_has_one_of_its_needles(parts: list[str], data: st.DataObject) -> None:
    pattern = "".join(parts)
    texts = derived(pattern)
    line = data.draw(st.from_regex(re.compile(pattern.encode()), fullmatch=True))
    assert not texts or any(text in line for text in texts)
