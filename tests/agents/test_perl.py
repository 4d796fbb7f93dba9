"""Perl expressions: what runs as it is written, what is refused, and why some are forgeable."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.agents.backtracking import slowness
from poprelay.agents.line import LineAgent
from poprelay.agents.perl import LONGEST, read_perl
from poprelay.errors import AgentError
from poprelay.model import Login

from .conftest import Scan

HEADER = "Nov 23 12:00:00 mx popd[7]: "


def seen(scan: Scan, expression: str, *lines: str) -> list[tuple[str | None, str | None]]:
    return [
        (event.user, event.address) for event in scan([LineAgent("mine", expression)], [HEADER + one for one in lines])
    ]


def test_the_first_group_is_the_user_and_the_second_the_address(scan: Scan) -> None:
    (login,) = scan([LineAgent("mine", r"(\w+) at ([\d.]+)( ok)?$")], [HEADER + "ann at 9.9.9.9 ok"])
    assert isinstance(login, Login)
    assert (login.user, login.address, login.service, login.agent) == ("ann", "9.9.9.9", "pop3", "mine")


def test_it_is_looked_for_anywhere_in_the_line_its_header_too(scan: Scan) -> None:
    assert seen(scan, r"mx popd\[\d+\]: .*(\w+)@(\d+\.\d+\.\d+\.\d+)", "in: ann@9.9.9.9!") == [("n", "9.9.9.9")]


def test_the_leftmost_match_counts_as_in_perl(scan: Scan) -> None:
    assert seen(scan, r"u=(\w+) a=([\d.]+)", "u=ann a=9.9.9.9 u=bob a=8.8.8.8") == [("ann", "9.9.9.9")]


def test_one_without_any_fixed_text_sees_every_line_and_the_last_without_a_newline(scan: Scan) -> None:
    assert seen(scan, r"(\w+) ([\d.]{7,15})$", "ann 9.9.9.9", "no", "bob 8.8.8.8") == [
        ("ann", "9.9.9.9"),
        ("bob", "8.8.8.8"),
    ]


def test_flags_at_its_beginning_hold_for_all_of_it(scan: Scan) -> None:
    assert seen(scan, r"(?i)LOGIN (\w+) ([\d.]+)", "login ann 9.9.9.9") == [("ann", "9.9.9.9")]


def test_a_line_of_more_than_two_kibibytes_is_not_tried(scan: Scan) -> None:
    tail = "login ann 9.9.9.9"
    fits = " " * (LONGEST - len(HEADER) - len(tail)) + tail
    assert seen(scan, r"login (\w+) ([\d.]+)$", fits) == [("ann", "9.9.9.9")]
    assert seen(scan, r"login (\w+) ([\d.]+)$", " " + fits) == []


def test_what_is_no_address_opens_nothing(scan: Scan) -> None:
    assert seen(scan, r"login (\w+) ([\d.]+)$", "login ann 9.9.9", "login ann 999.1.1.1") == []


def test_a_group_that_took_nothing_opens_nothing(scan: Scan) -> None:
    assert seen(scan, r"login (\w+ )?from ([\d.]+)", "login from 9.9.9.9") == []
    assert seen(scan, r"login (\w+)(?: from ([\d.]+))?", "login ann") == []


def test_an_agent_of_its_own_program_beside_it_is_still_asked(scan: Scan) -> None:
    from poprelay.agents import catalog

    line = "Nov 23 12:00:00 mx vpop3d: (ann,9.9.9.9) Authenticated"
    events = scan([LineAgent("mine", r"other (\w+) ([\d.]+)"), catalog.find("vpop3d")], [line])
    assert [event.agent for event in events] == ["vpop3d"]


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        (r"(a)\z(b)", 3),
        (r"[[:digit:]](a)(b)", 1),
        (r"(?<user>a)(b)", 0),
        (r"(a)(b)(?{ system 'id' })", 6),
        (r"(a)(b)\x{263a}", 6),
        (r"(a)(b)\p{L}", 6),
        (r"(a)(b)\Qx\E", 6),
        (r"(a)(b)\K", 6),
        (r"(a)(b)(*FAIL)", 6),
        (r"(a)(b)(?|x)", 6),
        (r"(a)(b)x{,3}", 7),
        (r"x(?i)(a)(b)", 1),
        (r"(a)(b", 3),
        (r"(a)[b", 3),
        ("(a)(b)é", 6),
        (r"(a)", 0),
        (r"(?(1)a)(b)(c)", 0),
        (r"/popd: (\w+) (\S+)/i", 0),
        (r"qr{popd: (\w+) (\S+)}", 0),
    ],
)
def test_what_only_perl_understands_is_refused_with_its_place(expression: str, position: int) -> None:
    with pytest.raises(AgentError) as caught:
        LineAgent("mine", expression)
    assert caught.value.fields["position"] == position
    assert f"at character {position + 1}" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (r"login (\w+) from ([\d.]+) ok", ["begin anywhere"]),
        (r"^.+ login (\w+) from ([\d.]+) ok", ["catch-all"]),
        (r"^\w+ \d+ [\d:]+ \w+ popd: login (\w+) from ([\d.]+)", ["nothing must follow"]),
        (r"^\w+ \d+ [\d:]+ \w+ popd: login (\w+) from ([\d.]+)$", []),
        (r"^\w+ \d+ [\d:]+ \S+ popd: login (\S+) from (\d+\.\d+\.\d+\.\d+)\.", ["a user name may hold what follows"]),
    ],
)
def test_it_is_said_why_an_expression_is_forgeable_if_it_is(expression: str, words: list[str]) -> None:
    agent = LineAgent("mine", expression)
    assert len(agent.expression.remarks) == len(words)
    assert all(word in remark for word, remark in zip(words, agent.expression.remarks, strict=True))
    assert bool(agent.remark()) == bool(words)


def test_the_anchored_form_names_the_program_and_takes_no_forgery(scan: Scan) -> None:
    from poprelay.agents.base import Agent

    program, login = LineAgent("mine", r"popd\[\d+\]: login (\w+) from .*\[(\d+\.\d+\.\d+\.\d+)\]").expression.anchored
    assert program == "popd"
    agent = Agent(name="mine", program=program, login=login)
    assert [event.address for event in scan([agent], [HEADER + "login ann from c.example.net[9.9.9.9]"])] == ["9.9.9.9"]
    assert not scan([agent], [HEADER + "login x from [6.6.6.6] from c.example.net[9.9.9.9]"])


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (r"popd\[\d+\]:.+user=(\w+) from (\d+\.\d+\.\d+\.\d+) ok", "Login user=ann from 9.9.9.9 ok"),
        (
            r"popd\[\d+\]:.+user=(\w+) host=.*\[(\d+\.\d+\.\d+\.\d+)\] nmsgs=",
            "Login user=ann host=a [9.9.9.9] nmsgs=0/0",
        ),
        (r"popd\[\d+\]: \(([\w.@]+),(\d+\.\d+\.\d+\.\d+)\) Auth", "(ann@a.net,9.9.9.9) Authenticated"),
        (r"popd\[\d+\]: entry (\w+) (\d+\.\d+\.\d+\.\d+)\s", "entry ann 9.9.9.9"),
        (r"(?i)POPD\[\d+\]\: entry (\w+) (\d+\.\d+\.\d+\.\d+)", "entry ann 9.9.9.9"),
    ],
)
def test_the_anchored_form_takes_what_the_expression_was_written_for(scan: Scan, expression: str, message: str) -> None:
    from poprelay.agents.base import Agent
    from poprelay.agents.lint import lint_pattern

    assert seen(scan, expression, message) != []
    program, login = LineAgent("mine", expression).expression.anchored
    assert program.lower() == "popd"
    found = scan([Agent(name="mine", program="popd", login=login)], [HEADER + message])
    assert [event.address for event in found] == ["9.9.9.9"]
    assert [finding for finding in lint_pattern("login", login) if finding.severity == "error"] == []


@pytest.mark.parametrize("end", [r"\s", r"\n", r"\s$", r"\n$", r"\s+", r"\s*$", r"\Z", "$"])
def test_what_takes_the_newline_in_perl_takes_the_end_of_the_line_here(scan: Scan, end: str) -> None:
    assert seen(scan, r"login (\w+) from (\d+\.\d+\.\d+\.\d+)" + end, "login ann from 9.9.9.9") != []
    assert seen(scan, r"login (\w+) from (\d+\.\d+\.\d+\.\d+)" + end, "login ann from 9.9.9.9x") == []


def test_alternatives_are_looked_for_anywhere_each(scan: Scan) -> None:
    for message in ("IMAP: login ann from 9.9.9.9", "x IMAP: login ann from 9.9.9.9"):
        assert seen(scan, r"nothing|IMAP: login (\w+) from ([\d.]+)", message) != []


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        (r"popd: (\w+)+ from ([\d.]+) ok", 7),
        (r"(?i)popd: (\w+\s?)+ from ([\d.]+) ok", 11),
        (r"popd: ((?:a|a)*) from ([\d.]+)", 10),
        (r"popd: (.*a){20} from ([\d.]+)", 7),
        (r"popd.*(\w+).*([\d.]+).*ok", 4),
    ],
)
def test_what_a_client_could_keep_busy_for_ever_is_refused_with_its_place(expression: str, position: int) -> None:
    with pytest.raises(AgentError) as caught:
        LineAgent("mine", expression)
    assert caught.value.fields["position"] == position
    assert "possessive" in caught.value.remedy


@pytest.mark.parametrize(
    "expression",
    [
        r"ipop3d\[\d+\]:.+user=(\w+) on=.*\[(\d+\.\d+\.\d+\.\d+)\] nmsgs=",
        r"popper\[\d+\]: Stats: (\w+) .* (\d+\.\d+\.\d+\.\d+)",
        r".*popd.*user=(.*) ip=(.*)",
        r"(\w+)@(\w+)\.(\w+)",
        r"popd: (?:\S+ )+(\w+) (\d+)",
    ],
)
def test_what_is_only_slow_is_run_as_it_is_written_and_a_line_of_two_kibibytes_is_tried_within_a_second(
    expression: str,
) -> None:
    pattern = LineAgent("mine", expression).expression.pattern
    slow = slowness(pattern)
    assert slow is not None
    line = slow.line(LONGEST)
    began = time.process_time()
    re.compile(pattern.encode()).match(line)
    assert time.process_time() - began < 1.0


PARTS = st.sampled_from(
    [r"(\w+)", r"([\d.]+)", "(.*)", r"(\d+\.\d+)", ".+", ".*?", " ", "ann", "from ", "=", r"\d", r"\s*", "[^ ]+", "[",
     "]", "(", ")", "(?:", "|", "^", "$", "*", "+", "?", "{2}", "++", "(?i)", r"\b", r"\Q", r"\1", r"\z", r"\x41",
     "(?<n>a)", "(?=a)", "\\"]
)  # fmt: skip
WHOLE = [
    ".+",
    ".*?",
    " ",
    " .*",
    "ann",
    "from ",
    "=",
    r"\s*",
    "[^ ]+",
    "(?:a|A)",
    "(?:from )?",
    "",
    "",
    "$",
    r"\b",
    "|",
]
USUAL = st.tuples(
    st.sampled_from(["", "", "^", "(?i)", ".*"]),
    st.sampled_from(WHOLE),
    st.sampled_from([r"(\w+)", "([^ ]+)", "(.*?)", "(a|ann)"]),
    st.sampled_from(WHOLE),
    st.sampled_from([r"([\d.]+)", r"(\d\.\d)", "(.+)"]),
    st.sampled_from(WHOLE),
).map("".join)
EXPRESSIONS = USUAL | st.lists(PARTS, max_size=8).map("".join)
MESSAGES = st.lists(st.sampled_from(["ann", "from ", "9.9", "=", " ", "A", "a"]), max_size=4).map("".join)


@given(EXPRESSIONS, st.builds("{}ann{}9.9{}".format, MESSAGES, MESSAGES, MESSAGES))
def test_any_expression_is_refused_at_a_place_in_it_or_finds_what_is_written(expression: str, message: str) -> None:
    try:
        pattern = read_perl(expression).pattern
    except AgentError as error:
        place = int(str(error.fields["position"]))
    else:
        place = 0
        written, run = re.search(expression, message, re.ASCII), re.match(pattern, message, re.ASCII)
        assert (run and run.group("user", "address")) == (written and written.group(1, 2))
    assert 0 <= place <= len(expression)
