from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.daemon.logs.logformat import LONGEST, Json, Prioritised, Text, bounded, explained, spelled
from poprelay.errors import ConfigError, MapError

ANY = st.text(alphabet=st.characters(), max_size=20)


def text(**event: Any) -> str:
    return Text(stamped=False)(None, "info", {"level": "info", "event": "grant opened", **event})


def as_json(**event: Any) -> dict[str, Any]:
    line = Json()(None, "info", {"level": "info", "event": "grant opened", **event})
    assert line.isascii()
    assert line.isprintable()
    found: dict[str, Any] = json.loads(line)
    return found


def test_text_says_how_grave_it_is_what_happened_and_then_the_fields() -> None:
    assert text(address="9.9.9.9", user="ann") == "info: grant opened address=9.9.9.9 user=ann"


def test_text_begins_with_the_time_where_nobody_else_writes_it() -> None:
    line = Text(stamped=True)(None, "info", {"level": "info", "event": "started"})
    stamp, rest = line.split(" ", 1)
    assert stamp.endswith("Z")
    assert rest == "info: started"


@given(ANY)
def test_whatever_a_field_holds_a_line_stays_one_line_of_printing_characters(value: str) -> None:
    assert text(user=value).isprintable()


@given(ANY)
def test_no_field_can_look_like_another_one(value: str) -> None:
    word = spelled(value)
    if word.startswith('"'):
        assert word.endswith('"')
        assert '"' not in word[1:-1]
    else:
        assert word
        assert not set(word) & set(' "=')


def test_a_name_that_imitates_a_field_or_a_line_does_not() -> None:
    line = text(user='eve" until=always\n<0>critical: all is lost', address="9.9.9.9")
    assert line == (r'info: grant opened user="eve\x22 until=always\x0a<0>critical: all is lost" address=9.9.9.9')


def test_bytes_that_are_not_utf_8_are_shown_by_their_values_in_text_and_as_surrogates_in_json() -> None:
    user = b"j\xf6rg".decode("utf-8", "surrogateescape")
    assert text(user=user).endswith(r"user=j\xf6rg")
    assert Json()(None, "info", {"level": "info", "event": "x", "user": user}).endswith(r'"user": "j\udcf6rg"}')
    assert as_json(user=user)["user"].encode("utf-8", "surrogateescape") == b"j\xf6rg"


def test_json_escapes_every_control_character() -> None:
    controls = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
    assert as_json(user=controls)["user"] == controls


def test_a_traceback_follows_its_line_each_of_its_lines_set_in() -> None:
    lines = text(exception="Traceback:\n  File \x1b\nZeroDivisionError: x").split("\n")
    assert lines == [
        "info: grant opened",
        "    Traceback:",
        r"      File \x1b",
        "    ZeroDivisionError: x",
    ]


def test_json_has_the_time_the_level_and_the_event_before_the_fields() -> None:
    row = as_json(address="9.9.9.9", users=["ann", "bob"], held=None, ok=True, path=Path("/x"))
    assert list(row) == ["at", "level", "event", "address", "users", "held", "ok", "path"]
    assert (row["users"], row["held"], row["ok"], row["path"]) == (["ann", "bob"], None, True, "/x")
    assert row["at"].endswith("Z")


@given(ANY)
def test_json_gives_every_text_back_as_it_was(value: str) -> None:
    assert as_json(user=value)["user"] == value


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2), ("odd", 6)]
)
def test_for_the_journal_every_line_begins_with_its_priority(level: str, priority: int) -> None:
    line = Prioritised(Text(stamped=False))(None, "", {"level": level, "event": "x", "exception": "a\nb"})
    assert line == f"<{priority}>{level}: x\n<{priority}>    a\n<{priority}>    b"


def test_one_of_our_errors_is_told_with_its_fields() -> None:
    error = MapError("relay.lmdb cannot be written", remedy="make room", path="/var/x", errno=28)
    event = explained(None, "", {"error": error, "path": "kept"})
    assert event == {"error": "relay.lmdb cannot be written: make room", "path": "kept", "errno": 28}


def test_a_refused_config_is_told_problem_by_problem() -> None:
    event = explained(None, "", {"error": ConfigError(["x.toml:1:1: a", "x.toml:2:1: b"])})
    assert event == {"error": "the config is refused", "problems": ["x.toml:1:1: a", "x.toml:2:1: b"]}


def test_an_instant_is_a_time_and_the_last_one_is_always() -> None:
    event = explained(None, "", {"until": 0.25, "opened": math.inf, "last_login": None, "pause": 0.25})
    assert event == {"until": "1970-01-01T00:00:00.250Z", "opened": "always", "last_login": None, "pause": 0.25}


def test_a_text_longer_than_anybody_reads_is_cut() -> None:
    cut = bounded(None, "", {"user": "x" * 60_000, "address": "9.9.9.9"})
    assert cut["user"] == "x" * LONGEST + "… (60000 characters)"
    assert cut["address"] == "9.9.9.9"


def test_a_traceback_is_not_cut() -> None:
    assert bounded(None, "", {"exception": "x" * 5000}) == {"exception": "x" * 5000}


def test_numbers_that_json_does_not_know_become_text() -> None:
    assert bounded(None, "", {"a": math.inf, "b": math.nan, "c": 1.5}) == {"a": "inf", "b": "nan", "c": 1.5}
