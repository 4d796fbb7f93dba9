"""Tables: whole on a narrow terminal, rows only in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from poprelay.cli import output
from poprelay.cli.output import LONGEST, cell, print_json, print_lines, print_table

WIDE = "2001:4860:4860:1111:2222:3333:4444:8844"
ROWS = [
    {"address": WIDE, "user": "x" * 3 * LONGEST, "until": None, "in_step": False},
    {"address": "9.9.9.9", "user": "j\u00f6rg", "until": None, "in_step": True},
]


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_table(("address", "user", "until", "in_step"), ROWS, now=0.0, empty="none")
    return capsys.readouterr().out.splitlines()


def test_on_a_narrow_terminal_nothing_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = shown(capsys)
    assert lines[0].split() == ["ADDRESS", "USER", "UNTIL", "IN_STEP"]
    assert lines[1].split() == [WIDE, "x" * LONGEST, "always", "no"]
    assert [line.strip() for line in lines[2:4]] == ["x" * LONGEST] * 2
    assert lines[4].split() == ["9.9.9.9", "j\u00f6rg", "always", "yes"]


def test_lines_that_are_many_are_all_printed_and_those_that_are_there_are_seen_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(5):
            seen.append(len(capsys.readouterr().out.splitlines()))
            yield str(number)

    monkeypatch.setattr(output, "_TOGETHER", 2)
    print_lines(lines())
    assert seen == [0, 0, 2, 0, 2]
    assert capsys.readouterr().out == "4\n"


def test_in_a_pipe_each_row_is_one_line_and_columns_bear_no_names(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys)
    assert [line.split()[0] for line in lines] == [WIDE, "9.9.9.9"]
    assert lines[1].split()[1:] == ["j\u00f6rg", "always", "yes"]


def test_json_holds_what_prints_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"user": "".join(map(chr, range(0x100))) + "\u202e\udcff\\\x7f"}
    print_json(row)
    line = capsys.readouterr().out.removesuffix("\n")
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == row


def test_without_rows_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_table(("address",), [], now=0.0, empty="nobody may relay now") == 0
    assert capsys.readouterr().out == "nobody may relay now\n"


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [("agent", "", "-"), ("lag", 0, "-"), ("in_step", False, "no"), ("user", "a\nb", "a\\x0ab"), ("lines", 7, "7")],
)
def test_a_value_is_shown_as_people_read_it(column: str, value: object, text: str) -> None:
    assert cell(column, value, 0.0) == text
