"""Bad patterns and what is said about them; good ones, about which nothing is."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.agents.lint import Finding, lint_agent, lint_pattern

USER = r"(?P<user>[^ ]+)"
ADDRESS = r"(?P<address>[0-9a-fA-F.:]+)"


def told(pattern: str, kind: str = "login", *, guards: bool = False) -> list[tuple[str, str]]:
    return [(finding.severity, finding.about) for finding in lint_pattern(kind, pattern, guards=guards)]


def only(pattern: str, *, guards: bool = False) -> Finding:
    (finding,) = lint_pattern("login", pattern, guards=guards)
    return finding


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_nothing_is_wrong_with_a_built_in_agent(name: str) -> None:
    assert lint_agent(catalog.find(name)) == []


@pytest.mark.parametrize(
    "pattern",
    [
        rf"login ok user={USER} from={ADDRESS}$",
        rf"login ok user=(?P<user>.*) from={ADDRESS}$",
        rf"login ok user=<(?P<user>.*)>, rip={ADDRESS}, lip=[0-9.]++(?:, session=<(?P<session>[^<>]*+)>)?+$",
        rf"from {ADDRESS}: user (?P<user>.+) has come$",
        rf"\((?P<user>[^,()\s]+),{ADDRESS}\) Authenticated\.?$",
        rf"(?i:Login) (?P<user>\S{{1,100}}) \[{ADDRESS}\]\Z",
        rf"(?:a (?P<user>\S+)|b) {ADDRESS} came$",
        rf"(?P<user>[^()]++)\({ADDRESS}\): began for '(?P=user)' and \1$",
    ],
)
def test_nothing_is_said_about_a_good_pattern(pattern: str) -> None:
    assert lint_pattern("login", pattern) == []


def test_an_open_end_is_an_error_where_a_success_is_told_by_what_stands_behind_the_name() -> None:
    finding = only(rf"\((?P<user>[^,()\s]+),{ADDRESS}\) Authenticated")
    assert (finding.severity, finding.about, finding.place) == ("error", "end", 66 - 1)
    assert "'Authenticated' stands behind what a client wrote" in finding.message
    assert finding.rewritten.endswith(r"\) Authenticated$")
    assert told(rf"login from={ADDRESS} user={USER} ok") == [("error", "end")]


def test_an_open_end_is_an_error_where_a_name_may_hold_what_follows_it() -> None:
    finding = only(rf"login ok user={USER} from={ADDRESS}")
    assert (finding.severity, finding.about) == ("error", "end")
    assert "of 'login ok user=x from=6.6.6.6 from=192.0.2.7' it takes the address at character 22" in finding.why


def test_it_is_only_doubtful_where_the_pattern_will_be_guarded() -> None:
    finding = only(rf"login ok user={USER} from={ADDRESS}", guards=True)
    assert (finding.severity, finding.about, finding.guarded) == ("warning", "end", True)


def test_no_guard_helps_where_nothing_stands_before_the_address() -> None:
    assert told(rf"login ok user={USER} {ADDRESS}", guards=True) == [("error", "end")]


def test_it_is_only_doubtful_where_the_address_comes_first() -> None:
    assert told(rf"login from={ADDRESS} user={USER}") == [("warning", "end")]


@pytest.mark.parametrize(
    "pattern",
    [
        rf"login ok user=(?P<user>.*) from={ADDRESS}",
        rf"login ok user=<(?P<user>.*)>, rip={ADDRESS}, .*$",
        rf"login ok user=<(?P<user>\S+)>,rip={ADDRESS}(?:,\S+)?$",
        rf"login ok user=(?P<user>.*?) from={ADDRESS} .*$",
    ],
)
def test_a_greedy_field_that_a_client_can_use_is_an_error_with_an_example(pattern: str) -> None:
    finding = next(each for each in lint_pattern("login", pattern) if each.about == "forgery")
    assert finding.severity == "error"
    example = re.search(r"of '(.*?)' it takes the address at character (\d+)", finding.why)
    assert example is not None
    found = re.match(pattern, example[1])
    assert found is not None
    assert found.start("address") == int(example[2]) - 1
    assert "192.0.2.7" in example[1]
    assert found["address"] == "6.6.6.6"


def test_a_mended_pattern_is_right_and_takes_what_the_first_one_was_for() -> None:
    for pattern in (
        rf"login ok user=(?P<user>.*) from={ADDRESS}",
        rf"login ok user=<(?P<user>.*)>, rip={ADDRESS}, tls$",
        rf"login ok user=(?P<user>(?:\w+ ?)+) from={ADDRESS}$",
        rf"login ok user=(?P<user>.+) host=.+ \[{ADDRESS}\]$",
    ):
        for finding in lint_pattern("login", pattern):
            assert finding.rewritten, pattern
            assert not [each for each in lint_pattern("login", finding.rewritten) if each.severity == "error"]
            re.compile(finding.rewritten)


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        (rf"ok (?P<user>(?:\w+ ?)+) {ADDRESS}$", 15),
        (rf"ok (?:a|a)*b{USER} {ADDRESS}$", 6),
        (rf"ok (?:x*)*{USER} {ADDRESS}$", 6),
        (rf"ok .*from=.*\[{USER} {ADDRESS}\]$", 10),
        (rf"ok \w+\d+: {USER} {ADDRESS}$", 6),
        (rf"ok .*(?!.*x){USER} {ADDRESS}$", 8),
    ],
)
def test_a_pattern_that_backtracks_badly_is_an_error_at_its_place(pattern: str, place: int) -> None:
    found = [finding for finding in lint_pattern("login", pattern) if finding.about == "backtracking"]
    assert [(finding.severity, finding.place) for finding in found] == [("error", place)]


def test_other_patterns_must_not_backtrack_either_but_their_ends_may_be_open() -> None:
    assert told(r"bye (?P<session>\S+)", "logout") == []
    assert told(r"bye (?:[a-z]+ *)*;", "logout") == [("error", "backtracking")]


def test_what_cannot_be_judged_is_said_to_be_so() -> None:
    assert told(rf"ok (?P<user>a)?(?(1)b|c) {ADDRESS}$") == [("warning", "unjudged")]


def test_the_caret_stands_under_the_place() -> None:
    pattern, caret = only(rf"login ok user={USER} from={ADDRESS}").pointed().split("\n")
    assert caret == " " * len(pattern) + "^"


def test_an_agent_that_joins_lines_is_judged_by_its_connects() -> None:
    class Joined(Agent):
        name = "joined"
        program = "d"
        connect = r"(?P<user>.*) from (?P<address>[0-9.]+)"
        login = r"welcome, (?P<user>.+)$"

    assert [(finding.where, finding.about) for finding in lint_agent(Joined())] == [("connect", "forgery")]


def test_judging_takes_no_time_to_speak_of() -> None:
    before = time.process_time()
    lint_agent(catalog.find("dovecot"))
    assert time.process_time() - before < 1


@settings(max_examples=150)
@given(
    parts=st.permutations([r"(?P<user>\S+)", " from=", ADDRESS, ", ", ".*", "ok "]),
    client=st.lists(st.sampled_from(["x", " from=", "6.6.6.6", ", ", "ok ", " "]), max_size=7).map("".join),
)
def test_what_passes_is_not_fooled_by_what_its_own_name_may_hold(parts: list[str], client: str) -> None:
    pattern = "ok " + "".join(parts) + "$"
    if any(finding.severity == "error" for finding in lint_pattern("login", pattern)):
        return
    honest = "ok " + "".join(
        {r"(?P<user>\S+)": client, ADDRESS: "192.0.2.7", ".*": ""}.get(part, part) for part in parts
    )
    found = re.match(pattern, honest)
    if found is not None and re.fullmatch(r"\S+", client):
        assert found.start("address") == honest.index("192.0.2.7")
