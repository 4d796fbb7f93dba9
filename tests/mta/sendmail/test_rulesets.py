from __future__ import annotations

import pytest

from mta.sendmail.conftest import CF, MC, made_of
from poprelay.mta.sendmail.rulesets import asked, lines, parse, rules_that_ask

PLACES = {"socketmap": "local:/run/x", "popauth": "/var/lib/x", "relay-domains": "/var/lib/y"}


def test_maps_rulesets_classes_and_options_are_told_apart() -> None:
    cf = parse(CF)
    assert cf.maps == {"access": "hash -T<TMPF> /etc/mail/access"}
    assert cf.files == ["-o /etc/mail/relay-domains %[^\\#]"]
    assert cf.options == {"DaemonPortOptions": ["Name=MTA, Family=inet"], "PidFile": ["/run/sendmail.pid"]}
    assert cf.rulesets == {
        "Local_Relay_Auth": [],
        "Basic_check_rcpt": ['$*\t\t\t$# error $@ 5.7.1 $: "550 Relaying denied"'],
    }


def test_a_ruleset_that_goes_on_elsewhere_is_one() -> None:
    cf = parse("SLocal_Relay_Auth\nSother=98\nR$*\t$@ OK\nSLocal_Relay_Auth\nR$*\t$: NO\n")
    assert cf.rulesets == {"Local_Relay_Auth": ["$*\t$: NO"], "other": ["$*\t$@ OK"]}


def test_a_line_that_begins_with_a_blank_goes_on() -> None:
    assert parse("Kx hash\n\t-o /x\n").maps == {"x": "hash -o /x"}


@pytest.mark.parametrize(
    ("kind", "rulesets"),
    [("socketmap", ["Local_Relay_Auth", "Local_check_rcpt"]), ("popauth", ["Local_Relay_Auth"]), ("relay-domains", [])],
)
def test_what_setup_writes_asks_at_that_place(kind: str, rulesets: list[str]) -> None:
    cf = parse(made_of(MC + lines(kind, PLACES[kind])))
    name = asked(cf, PLACES[kind])
    assert (name == "poprelay") == bool(rulesets)
    assert rules_that_ask(cf, "poprelay") == rulesets
    assert any(PLACES[kind] in file for file in cf.files) == (kind == "relay-domains")


def test_a_rule_has_its_two_sides_with_a_tab_between() -> None:
    for kind, place in PLACES.items():
        assert all("\t" in line for line in lines(kind, place).splitlines() if line.startswith("R$"))


def test_a_place_is_asked_as_a_whole() -> None:
    cf = parse("Kx hash -o /var/lib/x/relay\n")
    assert (asked(cf, "/var/lib/x"), asked(cf, "/var/lib/x/relay")) == ("", "x")
