"""What a compressed log says: gzip, xz, zstd, and bzip2 (FreeBSD's newsyslog), known by their first bytes.

A file may hold several frames one after the other, as compressors that append leave them. One that ends in the middle
of a frame is damaged, and says so: the libraries' own readers do not all notice.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import bz2
    import lzma

    from typing_extensions import Buffer

MAGIC: Final = 6
"""Bytes at the start of a file that tell whether and how it is compressed."""

_ZSTD: Final = b"\x28\xb5\x2f\xfd"

_PIECE: Final = 4096
"""Packed bytes that are unpacked at once. A log grows ten-fold, a bomb of gzip to 4 MB."""

_PIECE_ZSTD: Final = 1024
"""The same of zstd, which makes large blocks of few bytes: a bomb grows to 32 MB."""

_MOST: Final = 64 * 1024
"""Unpacked bytes at once of xz and bzip2, where 50 packed ones may hold megabytes, but which stop when told to."""


class _Frame(Protocol):
    """One frame being unpacked: what the four libraries have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Halting:
    """A frame of xz or bzip2, which gives what it holds bit by bit."""

    def __init__(self, frame: lzma.LZMADecompressor | bz2.BZ2Decompressor) -> None:
        self._frame = frame

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    @property
    def has_more(self) -> bool:
        """Whether there may be content before the next packed byte is needed."""
        return not (self._frame.eof or self._frame.needs_input)

    def decompress(self, data: bytes, /) -> bytes:
        return self._frame.decompress(data, _MOST)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...

    def close(self) -> None: ...


def compressed(start: bytes) -> bool:
    """Whether a file that starts so is one for `unpack`.

    >>> compressed(bytes([0x1F, 0x8B])), compressed(b"Jun 23")
    (True, False)
    """
    return start.startswith((b"\x1f\x8b", b"\xfd7zXZ\x00", _ZSTD, b"BZh"))


def unpack(raw: _Readable, start: bytes) -> io.BufferedReader:
    """The content of the compressed file `raw`, which begins with `start`. Reading raises OSError if it is damaged."""
    begin, errors = _format(start)
    piece = _PIECE_ZSTD if start.startswith(_ZSTD) else _PIECE
    return io.BufferedReader(_Unpacked(raw, begin, errors, piece))


def _format(start: bytes) -> tuple[Callable[[], _Frame], type[Exception]]:
    """How to begin a frame, and what it raises. Most logs are plain, so the libraries are loaded late."""
    if start.startswith(b"\x1f\x8b"):
        return lambda: zlib.decompressobj(wbits=31), zlib.error
    if start.startswith(b"BZh"):
        import bz2  # noqa: PLC0415 - see above

        return lambda: _Halting(bz2.BZ2Decompressor()), OSError
    if start.startswith(b"\xfd7zXZ\x00"):
        import lzma  # noqa: PLC0415 - see above

        return lambda: _Halting(lzma.LZMADecompressor()), lzma.LZMAError
    import zstandard  # noqa: PLC0415 - see above

    return zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError


class _Unpacked(io.RawIOBase):
    """The content of all frames. Owns the file that it unpacks."""

    def __init__(self, raw: _Readable, begin: Callable[[], _Frame], errors: type[Exception], piece: int) -> None:
        self._raw = raw
        self._begin = begin
        self._errors = errors
        self._piece = piece
        self._frame: _Frame | None = None
        self._packed = b""
        self._content = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Buffer) -> int:
        while not self._content:
            holds = isinstance(self._frame, _Halting) and self._frame.has_more
            piece = b"" if holds else self._packed or self._raw.read(self._piece) or b""
            if not piece and not holds:
                if self._frame is not None:
                    raise OSError("it ends in the middle")
                return 0
            self._packed = b""
            self._unpack(piece)
        view = memoryview(target).cast("B")
        count = min(len(view), len(self._content))
        view[:count] = self._content[:count]
        self._content = self._content[count:]
        return count

    def _unpack(self, piece: bytes) -> None:
        if self._frame is None:
            piece = piece.lstrip(b"\0")  # tapes and xz pad what follows the last frame
            if not piece:
                return
            self._frame = self._begin()
        try:
            self._content = memoryview(self._frame.decompress(piece))
        except self._errors as error:
            raise OSError(str(error)) from error
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None

    def close(self) -> None:
        self._raw.close()
        super().close()
