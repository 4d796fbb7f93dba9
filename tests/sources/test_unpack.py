"""What compressed logs say, and that a damaged one never passes for a whole one."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard

from poprelay.sources.unpack import MAGIC, compressed, unpack

Pack = Callable[[bytes], bytes]
PACKERS: dict[str, Pack] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bzip2": bz2.compress,
}
LOG = b"".join(b"Jun 23 00:11:%02d mx popd: login user%d\n" % (n % 60, n * n) for n in range(2000))


@pytest.fixture(params=PACKERS)
def pack(request: pytest.FixtureRequest) -> Pack:
    return PACKERS[request.param]


def unpacked(packed: bytes) -> bytes:
    return unpack(io.BytesIO(packed), packed[:MAGIC]).read()


def test_each_format_is_known_by_its_first_bytes(pack: Pack) -> None:
    assert compressed(pack(LOG)[:MAGIC])
    assert compressed(pack(b"")[:MAGIC])


@pytest.mark.parametrize("start", [b"", b"Jun 23", b"\x1f", b"BZ: ok", b"PK\x03\x04", b"\0\0\0\0\0\0"])
def test_nothing_else_is_taken_for_compressed(start: bytes) -> None:
    assert not compressed(start)


def test_the_content_comes_out_as_it_went_in(pack: Pack) -> None:
    assert unpacked(pack(LOG)) == LOG
    assert unpacked(pack(b"")) == b""


def test_frames_one_after_the_other_are_one_log(pack: Pack) -> None:
    assert unpacked(pack(b"one\n") + pack(b"") + pack(LOG) + pack(b"last\n")) == b"one\n" + LOG + b"last\n"


def test_padding_with_nul_bytes_is_no_damage(pack: Pack) -> None:
    assert unpacked(pack(LOG) + b"\0" * 10_000) == LOG
    assert unpacked(pack(b"one\n") + b"\0" * 512 + pack(b"two\n")) == b"one\ntwo\n"


@pytest.mark.parametrize("kept", [0.3, 0.9, -1])
def test_a_log_that_ends_in_the_middle_says_so_after_what_is_there(pack: Pack, kept: float) -> None:
    packed = pack(LOG)
    short = packed[: int(kept) if kept < 0 else int(len(packed) * kept)]
    stream = unpack(io.BytesIO(short), short[:MAGIC])
    content: list[bytes] = []
    with pytest.raises(OSError, match="it ends in the middle"):
        content.extend(iter(lambda: stream.read1(1000), b""))
    assert LOG.startswith(b"".join(content))


def test_what_comes_before_the_damage_can_be_read() -> None:
    packed = gzip.compress(LOG)
    stream = unpack(io.BytesIO(packed[:-100]), packed[:MAGIC])
    assert stream.read1(1000) == LOG[:1000]


def test_a_second_frame_that_is_cut_off_is_damage_though_the_first_is_whole(pack: Pack) -> None:
    with pytest.raises(OSError, match="it ends in the middle"):
        unpacked(pack(b"one\n") + pack(LOG)[:40])


def test_a_bit_that_fell_over_is_damage(pack: Pack) -> None:
    packed = bytearray(pack(LOG))
    packed[len(packed) // 2] ^= 0x10
    with pytest.raises(OSError, match=r"."):
        unpacked(bytes(packed))


def test_bytes_behind_the_last_frame_that_are_no_frame_are_damage(pack: Pack) -> None:
    with pytest.raises(OSError, match=r"."):
        unpacked(pack(LOG) + b"Jun 23 00:11:05 mx popd: login ann\n" * 100)


@pytest.mark.parametrize(
    ("packer", "size"), [("gzip", 1 << 24), ("xz", 1 << 24), ("zstd", 1 << 26), ("bzip2", 1 << 24)]
)
def test_a_bomb_does_not_fill_the_memory(packer: str, size: int) -> None:
    """What is nothing but zeros shrinks to next to nothing; no more of it is unpacked than is soon read."""
    packed = PACKERS[packer](bytes(size))
    tracemalloc.start()
    try:
        stream = unpack(io.BytesIO(packed), packed[:MAGIC])
        assert stream.read1(1000) == bytes(1000)
        assert tracemalloc.get_traced_memory()[1] < size * 3 // 4
    finally:
        tracemalloc.stop()
    assert sum(len(data) for data in iter(lambda: stream.read1(1 << 20), b"")) == size - 1000


def test_a_reader_that_is_closed_closes_the_file_below_it(pack: Pack) -> None:
    raw = io.BytesIO(pack(LOG))
    stream = unpack(raw, raw.getvalue()[:MAGIC])
    stream.close()
    assert raw.closed


def test_plain_logs_load_no_library() -> None:
    code = "import sys, poprelay.sources.unpack; print([m for m in ('lzma', 'zstandard') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert shown.stdout == "[]\n"
