"""The number of the last durable change, written down beside the ledger's file, so that a loss is noticed.

SQLite takes a write-ahead log that is missing, cut or damaged for one that ends earlier, and an empty file for a new
database. Either would bring back a grant that was revoked. So after each commit its number goes to `<ledger>-seq`. That
file is not synced: it may lag after a power failure, but it never says more than was durable, and so never lies.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import Final

from poprelay.ledger.files import beside, create_private

SUFFIX: Final = "-seq"
NEVER: Final = 2**62
"""A number that no ledger reaches."""


class Witness:
    """Writes the number down. Where it cannot, the ledger is only watched less well, so that is no error."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        file = beside(path, SUFFIX)
        with contextlib.suppress(OSError):
            self._descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC) if file.exists() else create_private(file)

    def write(self, node: int, seq: int) -> None:
        """`seq` of `node` is durable."""
        said = f"{node:019d} {seq:019d}"
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, f"{said} {zlib.crc32(said.encode()):010d}\n".encode(), 0)

    def condemn(self, node: int) -> None:
        """Claim more than can have been durable, and nothing afterwards."""
        self.write(node, NEVER)
        self.close()

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def last_witnessed(path: Path) -> tuple[int, int] | None:
    """The node and the number that were written down last for the ledger at `path`; None if none, or not legibly."""
    try:
        said, _, check = beside(path, SUFFIX).read_text("ascii").rpartition(" ")
        node, seq = map(int, said.split())
        return (node, seq) if zlib.crc32(said.encode()) == int(check) else None
    except (OSError, ValueError):
        return None
