"""Logs that are read from one end to the other: plain or compressed files, pipes, standard input."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO, cast

from poprelay.errors import SourceError
from poprelay.model import Instant
from poprelay.sources.lines import Block, Lines
from poprelay.sources.unpack import MAGIC, compressed, unpack

CHUNK: Final = 128 * 1024
"""Bytes read at a time where there is much to read. More is slower: the processor's cache does not hold it; and more
logins that take effect at one go hold lookups up."""


def open_log(path: str | os.PathLike[str]) -> io.BufferedReader:
    """The lines of a log as a stream, unpacked by what the file begins with. `-` is standard input.

    Raises SourceError.
    """
    name = os.fspath(path)
    raw: io.BufferedReader | None = None
    try:
        raw = _binary_input() if name == "-" else io.BufferedReader(io.FileIO(name))
        start = raw.peek(MAGIC)[:MAGIC]
    except OSError as error:
        if raw is not None and name != "-":
            raw.close()
        raise SourceError(f"{name} cannot be read: {error.strerror or error}", path=name) from error
    return unpack(raw, start) if compressed(start) else raw


def modified(path: str | os.PathLike[str]) -> Instant | None:
    """When the log was last written, which bounds what a stamp without a year may mean; None where that is now."""
    name = os.fspath(path)
    try:
        status = os.fstat(_standard_input().fileno()) if name == "-" else Path(name).stat()
    except OSError:
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


def plain_size(path: str | os.PathLike[str]) -> int | None:
    """Bytes that will be read from a log, where that is known: it is a plain file, and not compressed."""
    name = os.fspath(path)
    try:
        if name == "-":
            return _plain_size(_standard_input().fileno())
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO may have no writer any more
        try:
            return _plain_size(descriptor)
        finally:
            os.close(descriptor)
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


def _plain_size(descriptor: int) -> int | None:
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) and not compressed(os.pread(descriptor, MAGIC, 0)) else None


def _binary_input() -> io.BufferedReader:
    """Standard input as it is where it is a pipe, a file or a terminal: a second buffer would wait until it is full."""
    stream = _standard_input().buffer
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))


def _standard_input() -> TextIO:
    if sys.stdin is None or sys.stdin.closed:
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdin
