from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.mta import Finding, Part
from poprelay.mta.opensmtpd.findings import examine
from poprelay.mta.opensmtpd.rules import Rules

RULES = 'action "relay" relay\naction "local" mbox\nmatch from local for any action "relay"\n'
ASK = 'match from src <poprelay> for any action "relay"\n'


@pytest.fixture
def part(tmp_path: Path) -> Part:
    path = tmp_path / "relay"
    path.write_text("255.255.255.255\n")
    path.chmod(0o644)
    return Part("map", "opensmtpd", str(path))


def found(part: Part, text: str, *, began: float | None = None) -> list[Finding]:
    text = f"table poprelay file:{part.place}\n{RULES}{text}"
    config = Path(part.place).with_name("smtpd.conf")
    config.write_text(text)
    said = examine(Rules.read(text, config, str), config, [part], began)
    return [one for one in said if "may not be passed" not in one.what]  # where tests lie


def test_nothing_is_found_in_what_we_recommend(part: Part) -> None:
    assert found(part, ASK) == []
    assert found(part, ASK + "match from any for any reject\n") == []


def test_nothing_is_found_where_we_are_asked_for_those_with_tls_or_on_one_door(part: Part) -> None:
    assert found(part, ASK.replace("from src", "tls tag OUT from src")) == []


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ("", "fault", "OpenSMTPD does not ask us"),
        (f"match from any for any reject\n{ASK}", "fault", "stands behind match from any for any reject"),
        (ASK.replace("for any", "for domain site.test"), "fault", "is not for any"),
        (ASK.replace('"relay"', '"local"'), "fault", "does not relay"),
        (ASK.replace('action "relay"', "reject"), "fault", "it rejects"),
        (ASK.replace("from src", "!from src"), "danger", "those who are not in our table"),
        (ASK + "match from any for any action relay\n", "danger", "strangers may relay: "),
        (ASK + "match helo printer from any for any action relay\n", "danger", "by what they choose themselves"),
        (ASK + "match from src { 192.0.2 } for any action relay\n", "note", "192.0.2.0/24"),
        (ASK + "table s socketmap:/x\nmatch from src <s> for any action relay\n", "fault", "is a socketmap"),
    ],
)
def test_each_trap_is_found(part: Part, text: str, level: str, words: str) -> None:
    assert [(one.level, words in one.what) for one in found(part, text)] == [(level, True)]


def test_what_strangers_cannot_reach_is_no_danger(part: Part) -> None:
    text = f"{ASK}match from any for any reject\nmatch from any for any action relay\n"
    assert found(part, text) == []


def test_a_file_that_lets_others_relay_is_read(part: Part, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("# ours\n192.0.2.7\n10.1\n::/0\n")
    text = f"table own file:{own}\nmatch from src <own> for any action relay\n{ASK}"
    assert [(one.level, one.what) for one in found(part, text)] == [
        ("note", "the table own has 10.1, which is read as 10.1.0.0/16"),
        ("danger", "the table own has ::/0: every address"),
    ]


def test_a_config_that_smtpd_has_not_read_is_told_from_one_that_it_has(part: Part) -> None:
    assert "changed after smtpd has started" in found(part, ASK, began=1.0)[0].what
    assert found(part, ASK, began=4e9) == []


def test_an_empty_map_would_keep_smtpd_from_starting(part: Part) -> None:
    Path(part.place).write_text("")
    assert ["is empty" in one.what for one in found(part, ASK)] == [True]


def test_the_database_is_known_by_what_its_table_names(part: Part, tmp_path: Path) -> None:
    conf = tmp_path / "table.conf"
    conf.write_text(f"dbpath {part.place}\nquery_netaddr SELECT 1\n")
    asked = Part("map", "sqlite", part.place)
    text = f"table sql sqlite:{conf}\n{RULES}{ASK.replace('poprelay', 'sql')}"
    config = tmp_path / "smtpd.conf"
    config.write_text(text)
    said = examine(Rules.read(text, config, str), config, [asked], None)
    assert [one.what for one in said if "may not be passed" not in one.what] == []
