"""Where reading of a file stands, so that the file is known again under any name: the opaque position of a file source.

A file is known by its content: the fingerprint of its first bytes and of those just before the offset. Device and inode
only say where to look first, since an inode number is given to the next file as soon as the last one is gone.
"""

from __future__ import annotations

import hashlib
from typing import Final, TypeAlias

import msgspec

from poprelay.model import Instant

FINGERPRINT: Final = 1024
"""Bytes that a fingerprint covers at most; of a shorter file, all there are."""

VERSION: Final = 1

Identity: TypeAlias = tuple[int, int]
"""Device and inode."""


class Fingerprint(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A digest of a few bytes, and how many they were."""

    length: int
    digest: bytes

    @classmethod
    def of(cls, content: bytes) -> Fingerprint:
        """
        >>> Fingerprint.of(b"Jun 23").fits(b"Jun 23"), Fingerprint.of(b"Jun 23").fits(b"Jun 24")
        (True, False)
        """
        return cls(len(content), hashlib.blake2b(content, digest_size=16).digest())

    def fits(self, content: bytes) -> bool:
        return self == Fingerprint.of(content)


class Place(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A file, and how far it has been read.

    `offset` counts bytes of its (unpacked) content, the partial last line included. `copy_of` is a file that was
    truncated after this copy of it was made, so that it goes on in the middle of the line where the copy stops. `path`
    is what it was called.
    """

    path: bytes
    device: int
    inode: int
    offset: int
    head: Fingerprint
    tail: Fingerprint
    partial: bytes = b""
    skipping: bool = False
    copy_of: Identity | None = None

    @property
    def identity(self) -> Identity:
        return self.device, self.inode


class Position(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """All reading state of a file source.

    `current` is None before there was any file; `lingering` are rotated files to which somebody may still append.
    `behind` is the last file with something in it before the current one, so that all after it is news; its offset says
    only how much of it is sure to be known again. If that file is gone, `written` must do: the last write to any file
    that was read, or was there before we began. It is None before the first look. `scanner` is what the scanner
    remembers.
    """

    version: int = VERSION
    current: Place | None = None
    lingering: tuple[Place, ...] = ()
    behind: Place | None = None
    written: Instant | None = None
    scanner: bytes = b""

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @staticmethod
    def decode(position: bytes) -> Position:
        """Raises ValueError if these bytes are no position, or one of another version."""
        try:
            decoded = _decoder.decode(position)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a position: {error}") from error
        if decoded.version != VERSION:
            raise ValueError(f"a position of version {decoded.version}")
        return decoded


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Position)
