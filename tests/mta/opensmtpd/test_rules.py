from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.mta.opensmtpd.rules import Option, Rule, Rules, Table

ACTIONS = 'action "relay" relay\naction "local" mbox\n'


def rules(text: str) -> Rules:
    return Rules.read(ACTIONS + text, Path("/etc/smtpd.conf"), str)


def one(text: str) -> Rule:
    (found,) = rules(text).rules
    return found


def test_what_a_rule_does_not_say_is_about_local() -> None:
    assert one("match action local")[:4] == (Option("from local"), Option("for local"), (), "local")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("from src <t>", Option("from src", table="t")),
        ("! from src 192.0.2.0/24", Option("from src", negated=True, words=("192.0.2.0/24",))),
        ('from src { 192.0.2.7, "::1" }', Option("from src", words=("192.0.2.7", "::1"))),
        ("from src regex <t>", Option("from src", table="t")),
        ("from auth", Option("from auth")),
        ("from auth <users>", Option("from auth", table="users")),
        ("from rdns", Option("from rdns")),
        ("from any", Option("from any")),
    ],
)
def test_from_whom(text: str, source: Option) -> None:
    found = one(f"match {text} for any action relay")
    assert (found.source, found.to, found.others) == (source, Option("for any"), ())


def test_the_other_options_are_kept_apart() -> None:
    found = one('match tag X !auth mail-from "@site.test" from any for domain <d> reject')
    assert found.others == (
        Option("tag", words=("X",)),
        Option("auth", True),
        Option("mail-from", words=("@site.test",)),
    )
    assert (found.to, found.action) == (Option("for domain", table="d"), "")


@pytest.mark.parametrize(
    ("text", "strangers", "opens"),
    [
        ("from any for any reject", True, False),
        ("from any for any action relay", True, True),
        ("!from src <t> for any reject", True, False),
        ("!auth from any for any reject", True, False),
        ("auth from any for any action relay", False, False),
        ("from auth for any action relay", False, False),
        ("from any for local action relay", False, False),
        ("from any for domain site.test action relay", False, False),
        ("from src <bad> for any reject", False, False),
        ("tag in from any for any action relay", False, False),
        ("mail-from @site.test from any for any action relay", False, True),
        ("from mail-from @site.test for any action relay", False, True),
        ("tls from any for any action relay", False, True),
        ("for any action relay", False, False),
    ],
)
def test_who_is_a_stranger_and_which_rule_lets_strangers_out(text: str, strangers: bool, opens: bool) -> None:
    found = one(f"match {text}")
    assert (found.strangers, found.opens) == (strangers, opens)


def test_a_table_is_known_by_its_kind_and_place() -> None:
    found = rules("table a file:/a\ntable b /b\ntable c { 192.0.2.7 }\ntable d sqlite:/etc/d.conf\n").tables
    assert found == {
        "a": Table("file", "/a", ()),
        "b": Table("file", "/b", ()),
        "c": Table("static", "", ("192.0.2.7",)),
        "d": Table("sqlite", "/etc/d.conf", ()),
    }


def test_the_action_that_mail_goes_out_by_is_the_one_that_a_rule_uses_for_any() -> None:
    assert rules("action smart relay host smtp://x\nmatch from local for any action smart\n").outgoing() == "smart"
    assert rules("").outgoing() == "relay"
    assert Rules.read("", Path("/etc/smtpd.conf"), str).outgoing() == ""


WORDS = st.sampled_from(
    [*"{}<>,=!\n\"'\\$#", " ", "match ", "from ", "for ", "src ", "any ", "action ", "reject\n", "table ", "x ", '"a" ']
)


@given(st.lists(WORDS, max_size=40).map("".join))
def test_whatever_stands_there_is_read(text: str) -> None:
    found = rules(text)
    assert found.wall() <= len(found.rules)
    assert [str(rule) for rule in found.rules if rule.at.words[0] != "match"] == []
