"""What journalctl prints, and what somebody else might."""

from __future__ import annotations

import json

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
ENTRIES = st.fixed_dictionaries({}, optional=FIELDS).map(lambda fields: json.dumps(fields).encode() + b"\n")
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
