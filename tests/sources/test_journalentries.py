"""What journalctl prints, and what somebody else might."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.agents.base import Agent
from poprelay.model import Event
from poprelay.scan import Scanner
from poprelay.sources.journalentries import JournalReader, Left, Tags
from poprelay.sources.journaltrust import Speakers


class Popd(Agent):
    name = "popd"
    program = "popd"
    login = r"login (?P<user>[^ ]+) (?P<address>[0-9.]+)$"


NOW = 1_800_000_000.0
ODD = st.none() | st.integers() | st.floats() | st.lists(st.text(max_size=3), max_size=2) | st.just("9" * 5000)
TEXT = st.text(st.characters(), max_size=8)
FIELDS = {
    "__CURSOR": st.sampled_from(["s=a;i=1", "s=a;i=2;b=" + "b" * 32 + ";m=1", "", "x" * 2000]) | TEXT | ODD,
    "__REALTIME_TIMESTAMP": st.sampled_from(["1800000000000000", "-1", "1e9"]) | TEXT | ODD,
    "SYSLOG_IDENTIFIER": st.sampled_from(["popd", ["popd", "x"]]) | TEXT | ODD,
    "_TRANSPORT": st.sampled_from(["syslog", "journal", "stdout", "driver"]) | TEXT | ODD,
    "_UID": st.sampled_from(["0", "65534", "\u0660"]) | TEXT | ODD,
    "_COMM": st.sampled_from(["popd", "logger"]) | TEXT | ODD,
    "N_DROPPED": st.sampled_from(["3", "\u00b2"]) | TEXT | ODD,
    "MESSAGE": st.sampled_from(["login ann 9.9.9.9", "login a\ud800 9.9.9.9", [108, 300], [0]]) | TEXT | ODD,
}
GOOD = {
    "__CURSOR": "s=a;i=3",
    "__REALTIME_TIMESTAMP": "1800000000000000",
    "SYSLOG_IDENTIFIER": "popd",
    "_TRANSPORT": "syslog",
    "_UID": "0",
    "_COMM": "popd",
    "MESSAGE": 'login "ann" 9.9.9.9',
}
ENTRIES = st.builds(
    lambda base, fields: json.dumps({**base, **fields}).encode() + b"\n",
    st.sampled_from([{}, GOOD]),
    st.fixed_dictionaries({}, optional=FIELDS) | st.dictionaries(st.sampled_from([*FIELDS, "X"]), ODD, max_size=1),
)
PRINTED = st.lists(ENTRIES | st.binary(max_size=20), max_size=5).map(b"".join)


def read(data: list[bytes], uids: frozenset[int]) -> tuple[list[Event], bytes, Left]:
    left = Left()
    reader = JournalReader(Scanner([Popd()], source="journal"), Speakers(uids), Tags.of([Popd()]), left)
    batches = [reader.take(piece, now=NOW, caught_up=True) for piece in data]
    return [event for batch in batches if batch is not None for event in batch.events], reader.position(), left


@given(PRINTED, PLACES)
def test_whatever_is_printed_is_read_the_same_in_pieces_and_who_may_not_speak_logs_nobody_in(
    data: bytes, places: list[int]
) -> None:
    events, position, left = read([data], frozenset({0}))
    in_pieces, same, _ = read(cut(data, places), frozenset({0}))
    assert (in_pieces, same) == (events, position)
    assert all(remark.isprintable() for remark in left.remarks())
    assert read([data], frozenset())[0] == []
    JournalReader(Scanner([Popd()], source="journal"), Speakers(), Tags(), left).resume(position)


@pytest.mark.parametrize("beside", [b"1e999", b"9" * 5000, b'"\\ud800"', b'"\xff"', b"[" * 30_000 + b"]" * 30_000])
def test_an_entry_that_cannot_be_read_as_a_whole_is_counted_and_passed_over(beside: bytes) -> None:
    odd = json.dumps(GOOD).encode()[:-1] + b',"X":' + beside + b"}\n"
    good = json.dumps({**GOOD, "__CURSOR": "s=a;i=4"}).encode() + b"\n"
    events, _, left = read([odd + good], frozenset({0}))
    assert [event.address for event in events] == ["9.9.9.9"]
    assert left.unreadable == 1


@pytest.mark.parametrize("field", ["_UID", "_COMM", "_TRANSPORT", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT"])
def test_a_field_that_comes_several_times_proves_nothing(field: str) -> None:
    entry = {**GOOD, field: ["popd", "0", "syslog"]}
    events = read([json.dumps(entry).encode() + b"\n"], frozenset({0}))[0]
    assert len(events) == (field == "_SYSTEMD_UNIT")


@pytest.mark.parametrize("field", ["_UID", "N_DROPPED"])
def test_a_number_of_thousands_of_digits_harms_nothing(field: str) -> None:
    entry = {**GOOD, field: "9" * 5000, "_TRANSPORT": "driver" if field == "N_DROPPED" else "syslog"}
    assert read([json.dumps(entry).encode() + b"\n"], frozenset({0}))[0] == []
