from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.agents.base import Agent
from poprelay.scan import Scanner
from poprelay.scan.headers import Header, split
from poprelay.scan.rows import Columns

NAMES = b"#Fields: at,who,what,where\n"


class Rows(Agent):
    name = "rows"
    program = ("",)
    columns = ("who", "where", "what")
    login = r"(?P<user>[^\t]+)\t(?P<address>\S+)\tlogin$"
    login_needles = ("login",)


def scanner() -> Scanner:
    return Scanner([Rows()], source="log")


def users(on: Scanner, *rows: bytes) -> list[str | None]:
    block = b"".join(b"%s\n" % row.rstrip(b"\n") for row in rows)
    return [event.user for event in on.scan(block, now=2e9, horizon=2e9).events]


def row(rest: bytes) -> bytes:
    return b"2026-10-01T08:20:00.500Z," + rest


def test_a_row_is_read_by_the_names_of_its_columns_and_its_stamp_is_utc() -> None:
    (event,) = scanner().scan(NAMES + row(b"ann,login,192.0.2.7"), now=2e9, horizon=2e9).events
    assert (event.user, event.address) == ("ann", "192.0.2.7")
    assert event.at == datetime(2026, 10, 1, 8, 20, 0, 500000, tzinfo=UTC).timestamp()


def test_the_names_may_change_in_the_midst() -> None:
    other = b"#Fields: at,what,where,who"
    assert users(scanner(), NAMES, row(b"ann,login,192.0.2.7"), other, row(b"login,192.0.2.7,bob")) == ["ann", "bob"]


def test_the_names_survive_a_restart() -> None:
    first, second = scanner(), scanner()
    users(first, NAMES)
    second.restore(first.state())
    assert users(second, row(b"ann,login,192.0.2.7")) == ["ann"]
    assert users(scanner(), row(b"ann,login,192.0.2.7")) == []


@pytest.mark.parametrize(
    "rest",
    [
        b"ann,login,192.0.2.7,more",
        b"ann,login",
        b'"ann,login,192.0.2.7',
        b'an"n,"login"x,192.0.2.7',
        b"a\tnn,login,192.0.2.7",
        b"a\0nn,login,192.0.2.7",
        b"ann,login,192.0.2.7,login,192.0.2.66",
    ],
)
def test_a_row_that_does_not_fit_the_names_is_nothing(rest: bytes) -> None:
    assert users(scanner(), NAMES, row(rest)) == []


def test_quotes_and_windows_line_ends_are_no_part_of_a_value() -> None:
    assert users(scanner(), NAMES.replace(b"\n", b"\r\n"), row(b'"an""n, x",login,192.0.2.7\r')) == ['an"n, x']


def test_a_column_that_is_missing_or_named_twice_cannot_be_picked() -> None:
    columns = Columns()
    columns.learn(b"#Fields: a, b,b")
    assert columns.pick(b"1,2,3", ["a"]) == b"1"
    assert columns.pick(b"1,2,3", ["b"]) is None
    assert columns.pick(b"1,2,3", ["c"]) is None


def test_a_near_miss_is_looked_for_in_the_columns() -> None:
    scanned = scanner().scan(NAMES + row(b",login,192.0.2.7\n") + row(b"ann,x,login\n"), now=2e9, horizon=2e9)
    assert scanned.unmatched == 2


def test_rows_with_tabs_are_taken_apart() -> None:
    assert split(b'"IMAPD"\t5436\t2\t"2026-02-28 15:06:25.909"\t"192.0.2.7"\t"SENT: x"\r') == Header(
        b"2026-02-28 15:06:25.909", b"", b"IMAPD", b"2", b'"192.0.2.7"\t"SENT: x"'
    )
    line = b'"mx"\t"example.org"\t"192.0.2.7"\t"2026-11-23 12:00:00"\t"ann"\t""\t"LOGIN"'
    assert split(line) == Header(b"2026-11-23 12:00:00", b"", b"", b"", line)
    assert split(b'"mx"\t"example.org"\t"192.0.2.7"\t"yesterday"\t"ann"') is None


SCRAPS = st.sampled_from([b"who", b"what", b",", b'"', b"\t", b"\r", b"\0", b" "])
ROWS = st.binary(max_size=40) | st.lists(SCRAPS).map(b"".join)


@given(ROWS, ROWS, st.lists(st.sampled_from(["who", "what", ""]), min_size=1, max_size=3))
def test_no_bytes_make_it_fail_nor_change_the_number_of_columns(names: bytes, row: bytes, wanted: list[str]) -> None:
    columns = Columns()
    columns.learn(b"#Fields:" + names)
    picked = columns.pick(row, wanted)
    assert picked is None or picked.count(b"\t") == len(wanted) - 1
