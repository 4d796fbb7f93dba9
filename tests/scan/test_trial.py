"""Agents that are tried out: what is found about their needles, samples and templates."""

from __future__ import annotations

import pytest

from poprelay.agents import catalog
from poprelay.agents.base import UNCUT, Agent
from poprelay.scan.trial import common_needle, try_agent, try_needles

NOW = 1796000000.0  # 2026-11-29
ADDRESS = r"(?P<address>[0-9a-fA-F.:]+)"
SAMPLES = """\
#= login user=ann address=192.0.2.7 service=pop3
Jun 23 00:11:05 mx tinyd: user ann came from 192.0.2.7
#! an attack: a success as the name of a failure
Jun 23 00:11:06 mx tinyd: user ann came from 192.0.2.66 failed
#~ login from 203.0.113.5
Jun 23 00:11:05 mx tinyd: user @@ came from 203.0.113.5
#~ no login
Jun 23 00:11:05 mx tinyd: user @@ failed
"""


def tiny(login: str = rf"{UNCUT}user (?P<user>[^ ]+) came from {ADDRESS}$") -> Agent:
    return Agent(name="tiny", program="tinyd", login=login)


def told(agent: Agent, samples: str | None) -> list[tuple[str, str, str]]:
    return [(each.severity, each.about, each.message) for each in try_agent(agent, samples, now=NOW)]


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_nothing_is_wrong_with_a_built_in_agent(name: str) -> None:
    agent = catalog.find(name)
    assert not [each for each in try_agent(agent, catalog.samples(agent), now=NOW) if each.severity == "error"]


def test_nothing_is_wrong_with_a_small_one_either() -> None:
    assert told(tiny(), SAMPLES) == []


@pytest.mark.parametrize("samples", [None, "", "# only a remark\n"])
def test_without_samples_everything_is_missing(samples: str | None) -> None:
    assert [about for _, about, _ in told(tiny(), samples)] == ["samples", "attacks", "templates"]


def test_each_missing_part_of_the_proof_is_told() -> None:
    no_attack = SAMPLES.replace("an attack:", "not a login:")
    assert [message for _, _, message in told(tiny(), no_attack)] == ["there is no attack"]
    no_failure = SAMPLES.partition("#~ no login")[0]
    (finding,) = told(tiny(), no_failure)
    assert finding[1:] == ("templates", "there are no templates of both a login and a failure")


def test_a_logout_needs_a_sample_too() -> None:
    agent = Agent(name="tiny", program="tinyd", login=tiny().login, logout="user (?P<user>[^ ]+) went$")
    assert told(agent, SAMPLES) == [("error", "samples", "there is no sample of a logout")]


def test_samples_that_cannot_be_read_are_told_with_their_line() -> None:
    ((_, about, message),) = told(tiny(), SAMPLES + "#= signin\nx\n")
    assert about == "samples"
    assert "line 9: 'signin' is no claim" in message


def test_a_sample_that_gives_something_else_is_told() -> None:
    wrong = SAMPLES.replace("#= login user=ann", "#= login user=bob")
    assert [message for _, _, message in told(tiny(), wrong)] == [
        "it gives login user=ann address=192.0.2.7 service=pop3, not login user=bob address=192.0.2.7 service=pop3"
    ]


def test_a_name_that_syslog_cuts_is_an_attack_too() -> None:
    found = try_agent(tiny(rf"user (?P<user>[^ ]+) came from {ADDRESS}$"), SAMPLES, now=NOW)
    assert {finding.message for finding in found} == {
        "cut by syslog behind a long name that ends in ' came from 6.6.6.6', it is a login"
    }
    assert UNCUT in found[0].remedy


def test_an_attack_that_works_is_told_with_the_name_that_makes_it() -> None:
    found = try_agent(tiny(rf"user (?P<user>[^ ]+) came from {ADDRESS}"), SAMPLES, now=NOW)
    fooled = [each for each in found if "is taken for 6.6.6.6" in each.message]
    assert {each.why for each in fooled} == {"it was 203.0.113.5 who logged in", "nobody logged in"}
    assert all("came from 6.6.6.6" in each.message for each in fooled)


def test_without_templates_the_samples_are_made_into_some() -> None:
    samples = SAMPLES.partition("#~")[0]
    found = told(tiny(rf"user (?P<user>.+?) came from {ADDRESS}(?: .*)?$"), samples)
    assert any("is taken for 6.6.6.6" in message for _, _, message in found)


def test_a_template_that_gives_no_login_at_all_is_told() -> None:
    silent = SAMPLES.replace("user @@ came", "user @@ arrived")
    assert [message for _, _, message in told(tiny(), silent)] == ["filled with 'ann', it gives logins from nobody"]


def test_a_pattern_without_a_needle_is_an_error_and_nothing_else_is_tried() -> None:
    (finding,) = try_agent(tiny(rf"(?P<user>[^ ]+) {ADDRESS}$"), SAMPLES, now=NOW)
    assert (finding.severity, finding.about) == ("error", "needle")
    assert "login_needles" in finding.remedy


def test_a_needle_that_ordinary_lines_have_is_doubtful() -> None:
    (finding,) = try_needles(tiny(rf"(?P<user>[^ ]+) from=<{ADDRESS}>$"))
    assert (finding.severity, finding.about) == ("warning", "needle")
    assert "found by ' from=<'" in finding.message
    assert common_needle(rf"(?P<user>[^ ]+) from=<{ADDRESS}>$") == finding.message
    assert common_needle(tiny().login_patterns[0].pattern.decode()) == ""


def test_a_needle_of_three_characters_is_doubtful() -> None:
    class Short(Agent):
        name = "short"
        program = "d"
        login = rf"ok (?P<user>[^ ]+) {ADDRESS}$"
        login_needles = ("ok ",)

    (finding,) = try_needles(Short())
    assert "is short" in finding.message
