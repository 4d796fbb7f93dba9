"""Postfix's texthash and cidr maps, which a reload makes it read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.maps import Entry
from poprelay.maps.cidr import CidrMap
from poprelay.maps.text import MARKER
from poprelay.maps.texthash import TexthashMap

KINDS: dict[str, type[CidrMap | TexthashMap]] = {"cidr": CidrMap, "texthash": TexthashMap}


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_written_as_postfix_reads_it_and_then_postfix_is_reloaded(
    kind: str,
    section: Callable[..., Section],
    entry: Callable[..., Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "postfix"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "relay"
    path.write_text("192.0.2.8 REJECT\n")
    relay = KINDS[kind].from_section(section(path=str(path)))
    relay.change([entry("192.0.2.7"), entry("192.0.2.8"), entry("2001:db8::7")], [])
    assert path.read_text() == f"192.0.2.8 REJECT\n{MARKER}\n192.0.2.7 OK\n2001:db8::7 OK\n"
    assert (tmp_path / "said").read_text() == "reload\n"
    assert relay.interval == 10.0


def test_cidr_holds_an_ipv6_network(
    section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path
) -> None:
    relay = CidrMap.from_section(section(path=f"{tmp_path}/relay", command=["true"]))
    relay.change([entry("2001:db8:0:1::/64")], [])
    assert relay.path.read_text() == f"{MARKER}\n2001:db8:0:1::/64 OK\n"
    assert relay.expresses_networks
    with pytest.raises(ValueError, match="may not be a key"):
        relay.change([entry("2001:db8::/32")], [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_does_not_permit_is_refused(
    kind: str, section: Callable[..., Section], refused: Callable[[Section], list[tuple[str, str, str]]]
) -> None:
    bad = section(path="/relay", value="RELAY")
    KINDS[kind].from_section(bad)
    assert [key for key, _, _ in refused(bad)] == ["value"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_file_is_old_enough_that_postfix_does_not_wait_for_it(
    kind: str, section: Callable[..., Section], entry: Callable[..., Entry], tmp_path: Path
) -> None:
    relay = KINDS[kind].from_section(section(path=f"{tmp_path}/relay", command=["true"]))
    for _ in range(2):
        relay.keys()
        relay.change([entry("192.0.2.7")], [])
        assert relay.path.stat().st_mtime < time.time() - 2.0
        assert not relay.disturbed()
        relay.path.unlink()
