"""Postfix's `hash:` map, a Berkeley database, for a Postfix without `lmdb:`; by `postmap` (`poprelay.maps.postmap`).

`/var/lib/poprelay/relay.db` here is `check_client_access hash:/var/lib/poprelay/relay` in Postfix.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from poprelay.maps import command
from poprelay.maps.postmap import PostmapMap

if TYPE_CHECKING:
    from poprelay.config.section import Section


class HashMap:
    """Makes the map."""

    @staticmethod
    def from_section(section: Section) -> PostmapMap:
        return PostmapMap.from_section(section, "hash", ".db", listed)


def listed(relay: PostmapMap, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every record, as postmap(1) lists them."""
    for line in command.output((relay.postmap, "-s", relay.table(path)), timeout=relay.timeout).splitlines():
        key, _, value = line.partition(b"\t")
        yield key, value
