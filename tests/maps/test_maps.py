"""What holds for every built-in kind."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from maps.programs import postmap, tcprules
from poprelay.config.section import Section
from poprelay.maps import KINDS, Entry, Map
from poprelay.maps.lmdb import LmdbMap
from poprelay.maps.spool import SpoolMap
from poprelay.maps.sqlite import SqliteMap
from poprelay.maps.text import TextMap


def section(**table: str | list[str]) -> Section:
    return Section(table, ("maps", 0), [])


def configured(kind: str, path: Path, **more: str | list[str]) -> Map:
    """A map as its config has it."""
    module, _, name = KINDS[kind].partition(":")
    made: Map = getattr(importlib.import_module(module), name).from_section(section(path=str(path), **more))
    return made


MAKE: dict[str, Callable[[Path], Map]] = {
    "cdb": lambda directory: configured("cdb", directory / "relay.cdb", postmap=postmap(directory)),
    "cidr": lambda directory: configured("cidr", directory / "cidr", command=["true"]),
    "courier": lambda directory: configured("courier", directory / "courier", command=["true"]),
    "exim": lambda directory: configured("exim", directory / "exim"),
    "hash": lambda directory: configured("hash", directory / "relay.db", postmap=postmap(directory)),
    "lmdb": lambda directory: LmdbMap(directory / "relay.lmdb"),
    "opensmtpd": lambda directory: configured("opensmtpd", directory / "opensmtpd", command=["true"]),
    "sendmail": lambda directory: configured("sendmail", directory / "sendmail", command=["true"]),
    "spool": lambda directory: SpoolMap(directory / "spool"),
    "sqlite": lambda directory: SqliteMap(directory / "relay.sqlite"),
    "tcprules": lambda directory: configured("tcprules", directory / "tcp.smtp", tcprules=tcprules(directory)),
    "text": lambda directory: TextMap(directory / "relay", "%i RELAY"),
    "texthash": lambda directory: configured("texthash", directory / "texthash", command=["true"]),
}
each = pytest.mark.parametrize("kind", sorted(KINDS))


@each
def test_the_table_of_kinds_names_what_makes_the_map_that_is_tested_here(kind: str, tmp_path: Path) -> None:
    assert type(configured(kind, tmp_path / "relay")) is type(MAKE[kind](tmp_path))


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
    with closing(MAKE[kind](tmp_path)) as again:
        assert again.keys() == model


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
