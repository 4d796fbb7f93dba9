"""Logs that are read from one end to the other: plain or compressed files, pipes, standard input."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from poprelay.errors import SourceError
from poprelay.model import Instant
from poprelay.sources.lines import Block, Lines
from poprelay.sources.unpack import MAGIC, compressed, unpack

CHUNK: Final = 256 * 1024
"""Bytes read at a time where there is much to read. More is slower: memory of that size is given back and faulted in
again for each block, and the processor's cache does not hold it."""


def open_log(path: str | os.PathLike[str]) -> io.BufferedReader:
    """The lines of a log as a stream, unpacked by what the file begins with. `-` is standard input.

    Raises SourceError.
    """
    name = os.fspath(path)
    try:
        raw: io.BufferedReader = _standard_input() if name == "-" else io.BufferedReader(io.FileIO(name))
        start = raw.peek(MAGIC)[:MAGIC]
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror or error}", path=name) from error
    return unpack(raw, start) if compressed(start) else raw


def modified(path: str | os.PathLike[str]) -> Instant | None:
    """When the log was last written, which bounds what a stamp without a year may mean; None where that is now."""
    name = os.fspath(path)
    try:
        status = os.fstat(sys.stdin.fileno()) if name == "-" else Path(name).stat()
    except OSError:
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


def plain_size(path: str | os.PathLike[str]) -> int | None:
    """Bytes that will be read from a log, where that is known: it is a plain file, and not compressed."""
    name = os.fspath(path)
    try:
        with Path(name).open("rb") as file:
            status = os.fstat(file.fileno())
            return status.st_size if stat.S_ISREG(status.st_mode) and not compressed(file.read(MAGIC)) else None
    except OSError:
        return None


def blocks(stream: io.BufferedReader, *, name: str = "the log", unterminated: bool = False) -> Iterator[Block]:
    """Blocks of whole lines to the end of the stream, as soon as they are there.

    The last line, if it ends without a newline, counts only if `unterminated`: it may be half written. Raises
    SourceError, which calls the log by `name`, if it cannot be read or is damaged.
    """
    lines = Lines()
    while True:
        try:
            data = stream.read1(CHUNK)
        except OSError as error:
            raise SourceError(f"{name} cannot be read to its end: {error}", path=name) from error
        block = lines.feed(data) if data else lines.finish() if unterminated else Block(b"")
        if block.data:
            yield block
        if not data:
            return


def _standard_input() -> io.BufferedReader:
    """As it is where it is a pipe, a file or a terminal: a second buffer would wait until it is full."""
    stream = sys.stdin.buffer
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
