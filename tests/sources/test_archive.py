"""Logs that are read from one end to the other: files of any packing, pipes, standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import zstandard

from poprelay.errors import SourceError
from poprelay.sources.archive import blocks, modified, open_log, plain_size
from poprelay.sources.lines import LONGEST, Block

if TYPE_CHECKING:
    from typing_extensions import Buffer

LOG = b"one\ntwo\n"
PACKERS: tuple[Callable[[bytes], bytes], ...] = (
    gzip.compress,
    lzma.compress,
    zstandard.ZstdCompressor().compress,
    bz2.compress,
)


class Drip(io.RawIOBase):
    """A pipe: each read gives one piece, and the test fails if more is asked for than is there."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Buffer) -> int:
        assert self._pieces, "it would wait for a writer"
        piece = self._pieces.pop(0)
        memoryview(target)[: len(piece)] = piece
        return len(piece)


def stream_of(raw: io.RawIOBase | io.BytesIO) -> io.BufferedReader:
    return io.BufferedReader(cast("io.RawIOBase", raw))


def content(path: Path) -> bytes:
    with open_log(path) as stream:
        return b"".join(block.data for block in blocks(stream))


def with_input(code: str, given: bytes | None, *flags: str) -> str:
    """What a process says that imports `archive`, and whose standard input holds this; None is a closed one."""
    command = [sys.executable, *flags, "-c", f"from poprelay.sources.archive import *\n{code}"]
    if given is None:
        command = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
    return subprocess.run(command, input=given or b"", capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize("pack", PACKERS)
def test_a_compressed_log_is_known_by_its_content_whatever_its_name(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "mail.log.1").write_bytes(pack(LOG))
    assert content(tmp_path / "mail.log.1") == LOG
    (tmp_path / "mail.log.1.gz").write_bytes(LOG)
    assert content(tmp_path / "mail.log.1.gz") == LOG


def test_an_empty_log_has_no_blocks(tmp_path: Path) -> None:
    (tmp_path / "mail.log").touch()
    assert content(tmp_path / "mail.log") == b""


def test_lines_come_as_soon_as_they_are_there() -> None:
    stream = stream_of(Drip(b"one\ntw", b"o\n"))
    each = blocks(stream)
    assert next(each) == Block(b"one\n")
    assert next(each) == Block(b"two\n")


def test_an_unterminated_last_line_may_be_half_written_and_counts_only_on_demand() -> None:
    assert list(blocks(stream_of(io.BytesIO(b"one\ntwo")))) == [Block(b"one\n")]
    stream = stream_of(io.BytesIO(b"one\ntwo"))
    assert list(blocks(stream, unterminated=True)) == [Block(b"one\n"), Block(b"two\n")]


def test_lines_over_the_limit_are_counted_and_odd_bytes_do_no_harm() -> None:
    stream = stream_of(io.BytesIO(b"\0\0\xff\n" + b"x" * 9 * LONGEST + b"\nthr\0ee\n"))
    found = list(blocks(stream))
    assert b"".join(block.data for block in found) == b"\xff\n\nthr\0ee\n"
    assert sum(block.cut for block in found) == 1


def test_a_log_that_is_missing_or_no_file_is_a_sentence_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere cannot be read: No such file or directory$") as missing:
        open_log(tmp_path / "nowhere")
    assert missing.value.fields == {"path": str(tmp_path / "nowhere")}
    with pytest.raises(SourceError, match=r"cannot be read: Is a directory$"):
        open_log(tmp_path)
    with pytest.raises(SourceError, match=r"/proc/self/mem cannot be read: Input/output error$"):
        open_log("/proc/self/mem")


def test_a_damaged_log_gives_what_is_whole_and_then_says_so(tmp_path: Path) -> None:
    lines = b"".join(b"%d\n" % number for number in range(100_000))
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress(lines)[:-1000])
    found: list[bytes] = []
    with (
        open_log(tmp_path / "mail.log.1.gz") as stream,
        pytest.raises(SourceError, match=r"^mail\.log cannot be read to its end: it ends in the middle$"),
    ):
        found.extend(block.data for block in blocks(stream, name="mail.log", unterminated=True))
    whole = b"".join(found)
    assert whole.endswith(b"\n")
    assert lines.startswith(whole)


def test_the_size_is_known_of_plain_files_only(tmp_path: Path) -> None:
    plain, packed, pipe = tmp_path / "mail.log", tmp_path / "mail.log.1", tmp_path / "pipe"
    plain.write_bytes(LOG)
    packed.write_bytes(gzip.compress(LOG))
    os.mkfifo(pipe)
    assert [plain_size(path) for path in (plain, packed, pipe, tmp_path / "nowhere")] == [len(LOG), None, None, None]


def test_the_last_write_is_known_of_files_only_for_a_pipe_it_is_now(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.touch()
    os.utime(log, (1_700_000_000, 1_700_000_000))
    os.mkfifo(tmp_path / "pipe")
    assert modified(log) == 1_700_000_000
    assert modified(tmp_path / "pipe") is None
    assert modified(tmp_path / "nowhere") is None


@pytest.mark.parametrize("flags", [(), ("-u",)])
@pytest.mark.parametrize("given", [LOG, gzip.compress(LOG)], ids=["plain", "gzip"])
def test_a_dash_is_standard_input_compressed_or_not_and_buffered_or_not(given: bytes, flags: tuple[str, ...]) -> None:
    code = "print(modified('-'), plain_size('-'), *blocks(open_log('-')))"
    assert with_input(code, given, *flags) == f"None None {Block(LOG)!r}\n"


def test_standard_input_from_a_file_is_known_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(LOG)
    os.utime(log, (1_700_000_000, 1_700_000_000))
    with log.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert (modified("-"), plain_size("-")) == (1_700_000_000, len(LOG))


@pytest.mark.parametrize("before", ["pass", "open_log('-').close()"])
def test_a_standard_input_that_is_closed_is_a_sentence_too(before: str) -> None:
    say = "print(type(error).__name__, error, modified('-'), plain_size('-'))"
    code = f"{before}\ntry: open_log('-')\nexcept Exception as error: {say}"
    given = None if before == "pass" else LOG
    assert with_input(code, given) == "SourceError - cannot be read: it is closed None None\n"


FAULTS = """
import resource, sys
from poprelay.sources.archive import blocks, open_log
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
print(sum(1 for block in blocks(open_log(sys.argv[1]))), faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep memory in other ways")
def test_the_memory_of_a_block_is_there_for_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes((b"x" * 99 + b"\n") * 160_000)
    done = subprocess.run([sys.executable, "-c", FAULTS, path], check=True, capture_output=True, text=True)
    read, faults = map(int, done.stdout.split())
    assert read > 60
    assert faults < 16 * read  # pages; a block has 64
