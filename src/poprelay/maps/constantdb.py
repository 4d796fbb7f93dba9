"""Reads a constant database (cdb): the file that Postfix's `cdb:` and tcpserver look addresses up in.

256 pairs of numbers (where a hash table begins, and its slots), then the records (length of key, length of value, key,
value), then the hash tables; all numbers have 32 bits, the lowest byte first. https://cr.yp.to/cdb/cdb.txt

A file that was cut short, or that is empty, is no database: tcpserver would drop every connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import error, iter_unpack, unpack_from
from typing import Final

from poprelay.errors import MapError

_HEAD: Final = 2048
_SLOT: Final = 8


def records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every record, in the order in which they were written. Raises MapError if the file is damaged, OSError."""
    content = path.read_bytes()
    at, end = _HEAD, _tables(path, content)
    while at < end:
        try:
            key, value = unpack_from("<II", content, at)
        except error:
            raise _damaged(path) from None
        at += 8
        if at + key + value > end:
            raise _damaged(path)
        yield content[at : at + key], content[at + key : at + key + value]
        at += key + value


def check(path: Path) -> None:
    """Raise MapError unless the file is a whole database. It may hold nothing. Raises OSError."""
    _tables(path, path.read_bytes())


def _tables(path: Path, content: bytes) -> int:
    """Where the records end and the hash tables begin; these must then fill the file."""
    if len(content) < _HEAD:
        raise _damaged(path)
    begin: int = min(start for start, _ in iter_unpack("<II", content[:_HEAD]))
    at = begin
    for start, slots in iter_unpack("<II", content[:_HEAD]):
        if start != at:
            raise _damaged(path)
        at += slots * _SLOT
    if begin < _HEAD or at != len(content):
        raise _damaged(path)
    return begin


def _damaged(path: Path) -> MapError:
    return MapError(f"{path} is no whole cdb file", remedy=f"move {path} away; a new one is made at once")
