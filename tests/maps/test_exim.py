"""Exim's file of hosts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.maps import Entry
from poprelay.maps.exim import EximMap
from poprelay.maps.text import MARKER

MARK = MARKER + "\n"


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("iplsearch", '192.0.2.7\n"2001:db8::7"\n"2001:db8:0:1::/64"\n'),
        ("hosts", "192.0.2.7\n2001:db8::7\n2001:db8:0:1::/64\n"),
    ],
)
def test_the_file_has_a_line_for_each_address_and_network(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path, form: str, lines: str
) -> None:
    relay = EximMap.from_section(section(path=f"{tmp_path}/relay", format=form))
    addresses = ["2001:db8::7", "192.0.2.7", "2001:db8:0:1::/64"]
    relay.change([entry(address) for address in addresses], [])
    assert relay.path.read_text() == MARK + lines
    assert relay.keys() == set(addresses)
    relay.change([], addresses)
    assert relay.path.read_text() == MARK


def test_a_word_that_it_does_not_know_is_refused(
    section: Callable[..., Section], refused: Callable[[Section], list[tuple[str, str, str]]], tmp_path: Path
) -> None:
    read = section(path=f"{tmp_path}/relay", format="lsearch", command="true")
    EximMap.from_section(read)
    assert [problem[0] for problem in refused(read)] == ["format", "command"]
