"""Postfix's `cdb:` map, a constant database: quick to make, by `postmap` (`poprelay.maps.postmap`), and to look up.

`/var/lib/poprelay/relay.cdb` here is `check_client_access cdb:/var/lib/poprelay/relay` in Postfix. tcpserver's rules
are a cdb of another content: the kind `tcprules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from poprelay.maps import constantdb
from poprelay.maps.postmap import PostmapMap

if TYPE_CHECKING:
    from poprelay.config.section import Section


class CdbMap:
    """Makes the map."""

    @staticmethod
    def from_section(section: Section) -> PostmapMap:
        return PostmapMap.from_section(section, "cdb", ".cdb", listed)


def listed(_relay: PostmapMap, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every record; postmap(1) lists none of a cdb."""
    for key, value in constantdb.records(path):
        yield key.removesuffix(b"\0"), value.removesuffix(b"\0")
