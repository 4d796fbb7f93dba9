"""What holds for every built-in kind."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.maps import KINDS, Entry, Map
from poprelay.maps.lmdb import LmdbMap
from poprelay.maps.spool import SpoolMap
from poprelay.maps.text import TextMap


def section(**table: str | list[str]) -> Section:
    return Section(table, ("maps", 0), [])


def texts(kind: str, directory: Path, **more: str | list[str]) -> TextMap:
    """A kind that is a text map of another form, and whose command does nothing."""
    module, _, name = KINDS[kind].partition(":")
    made = getattr(importlib.import_module(module), name).from_section(section(path=f"{directory}/{kind}", **more))
    assert isinstance(made, TextMap)
    return made


MAKE: dict[str, Callable[[Path], Map]] = {
    "courier": lambda directory: texts("courier", directory, command=["true"]),
    "exim": lambda directory: texts("exim", directory),
    "lmdb": lambda directory: LmdbMap(directory / "relay.lmdb"),
    "opensmtpd": lambda directory: texts("opensmtpd", directory, command=["true"]),
    "sendmail": lambda directory: texts("sendmail", directory, command=["true"]),
    "spool": lambda directory: SpoolMap(directory / "spool"),
    "text": lambda directory: TextMap(directory / "relay", "%i RELAY"),
}
each = pytest.mark.parametrize("kind", sorted(KINDS))


@each
def test_the_table_of_kinds_names_what_makes_the_map_that_is_tested_here(kind: str, tmp_path: Path) -> None:
    module, _, name = KINDS[kind].partition(":")
    made = getattr(importlib.import_module(module), name).from_section(section(path=str(tmp_path / "relay.lmdb")))
    assert type(made) is type(MAKE[kind](tmp_path))


@each
def test_the_name_says_kind_and_path(kind: str, tmp_path: Path) -> None:
    assert MAKE[kind](tmp_path).name.startswith(f"{kind} {tmp_path}/")


@each
@pytest.mark.parametrize("seed", range(3))
def test_it_holds_what_it_was_told_also_for_another_process_and_after_closing(
    kind: str, seed: int, tmp_path: Path, entry: Callable[..., Entry], addresses: Callable[[int], list[str]]
) -> None:
    draw = random.Random(seed)
    known = addresses(60)
    relay = MAKE[kind](tmp_path)
    model = relay.keys()
    assert model == set()
    for step in range(40):
        added = draw.sample(known, draw.randrange(6))
        removed = draw.sample(known, draw.randrange(6))
        relay.change([entry(address, at=1000.0 + step) for address in added], removed)
        model = (model - set(removed)) | set(added)
        if step % 10 == 0:
            relay.close()
        assert relay.keys() == model
    relay.close()
    relay.close()
    assert MAKE[kind](tmp_path).keys() == model


@each
def test_a_network_is_held_or_refused_as_the_kind_says(kind: str, tmp_path: Path, entry: Callable[..., Entry]) -> None:
    relay = MAKE[kind](tmp_path)
    if relay.expresses_networks:
        relay.change([entry("2001:db8:0:1::/64"), entry("2001:db8:0:1::7")], [])
        assert relay.keys() == {"2001:db8:0:1::/64", "2001:db8:0:1::7"}
        relay.change([], ["2001:db8:0:1::/64"])
        assert relay.keys() == {"2001:db8:0:1::7"}
        return
    with pytest.raises(ValueError, match="may not be a key"):
        relay.change([entry("2001:db8:0:1::/64")], [])
