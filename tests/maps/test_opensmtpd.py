"""OpenSMTPD's table file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.maps import Entry
from poprelay.maps.opensmtpd import NOBODY, OpensmtpdMap
from poprelay.maps.text import MARKER

MARK = f"{MARKER}\n{NOBODY}\n"


def test_the_table_is_never_empty_and_who_keeps_it_so_is_no_key(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path
) -> None:
    relay = OpensmtpdMap.from_section(section(path=f"{tmp_path}/relay", command=["true"]))
    assert relay.keys() == set()
    assert relay.path.read_text() == MARK
    relay.change([entry("192.0.2.7"), entry("2001:db8:0:1::/64")], [])
    assert relay.path.read_text() == f"{MARK}192.0.2.7\n2001:db8:0:1::/64\n"
    assert relay.keys() == {"192.0.2.7", "2001:db8:0:1::/64"}
    relay.change([], ["192.0.2.7", "2001:db8:0:1::/64"])
    assert (relay.path.read_text(), relay.keys()) == (MARK, set())


def test_a_change_updates_the_table_by_name(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "smtpctl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    relay = OpensmtpdMap.from_section(section(path=f"{tmp_path}/relay", table="clients"))
    relay.change([entry("192.0.2.7")], [])
    assert (tmp_path / "said").read_text() == "update table clients\n"


@pytest.mark.parametrize("table", ["<poprelay>", "a b", "-x"])
def test_what_is_no_name_of_a_table_is_refused(
    section: Callable[..., Section], refused: Callable[[Section], list[tuple[str, str, str]]], table: str
) -> None:
    read = section(path="/relay", table=table)
    OpensmtpdMap.from_section(read)
    assert [problem[0] for problem in refused(read)] == ["table"]
