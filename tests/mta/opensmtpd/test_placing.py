from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.errors import MtaError
from poprelay.mta import Edit, Part
from poprelay.mta.opensmtpd.placing import edited, read_text
from poprelay.mta.opensmtpd.rules import Rules

MAP = Part("map", "opensmtpd", "/var/lib/poprelay/relay")
TABLE = "table poprelay file:/var/lib/poprelay/relay\n"
RULE = 'match from src <poprelay> for any action "relay"\n'
DEBIAN = """\
table aliases file:/etc/aliases
listen on localhost
action "local" maildir alias <aliases>
action "relay" relay
match for local action "local"
match from local for any action "relay"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "smtpd.conf"


def edit(config: Path, text: str, table: str = "") -> Edit:
    config.write_text(text)
    return edited(config, Rules.read(text, config, lambda name: read_text(Path(name))), MAP, table)


def test_the_rule_stands_behind_debians_own(config: Path) -> None:
    assert edit(config, DEBIAN) == Edit(config, (DEBIAN + TABLE + RULE).encode())


def test_the_rule_stands_before_the_one_that_stops_strangers(config: Path) -> None:
    wall = "match !from src { 192.0.2.7 } for any reject # strangers\n"
    last = "match from any for domain site.test action local\n"
    assert edit(config, DEBIAN + wall + last).content.decode() == DEBIAN + TABLE + RULE + wall + last


def test_those_whom_an_operator_rejects_stay_rejected(config: Path) -> None:
    text = DEBIAN + "match from src <bad> for any reject\n"
    assert edit(config, text).content.decode() == text + TABLE + RULE


def test_the_action_that_mail_goes_out_by_is_used(config: Path) -> None:
    text = DEBIAN.replace('"relay"', '"smart"')
    assert edit(config, text).content.decode().endswith('for any action "smart"\n')


def test_where_no_mail_goes_out_yet_an_action_is_made(config: Path) -> None:
    text = "listen on all"
    assert edit(config, text).content.decode() == (
        'listen on all\naction "poprelay" relay\n' + TABLE + RULE.replace('"relay"', '"poprelay"')
    )


def test_a_table_that_is_there_already_is_asked_by_its_name(config: Path) -> None:
    text = DEBIAN + "table popusers file:/var/lib/poprelay/relay\n"
    rule = RULE.replace("poprelay", "popusers")
    assert edit(config, text, "popusers").content.decode() == text + rule


def test_the_file_that_holds_the_rules_is_changed_not_the_one_that_includes_it(config: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text(DEBIAN)
    assert edit(config, f'include "{rules}"\nlisten on all\n') == Edit(rules, (DEBIAN + TABLE + RULE).encode())


def test_another_table_of_our_name_is_not_taken(config: Path) -> None:
    with pytest.raises(MtaError, match="another table poprelay: /etc/other"):
        edit(config, DEBIAN + "table poprelay file:/etc/other\n")


def test_an_open_relay_is_not_made_to_look_closed(config: Path) -> None:
    with pytest.raises(MtaError, match="open relay"):
        edit(config, DEBIAN + "match from any for any action relay\n")
