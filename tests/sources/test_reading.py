"""One open log: what is read of it, how it is known again, and how its truncation shows."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard
from structlog.testing import LogCapture

from poprelay.errors import SourceError
from poprelay.sources.lines import LONGEST, Block
from poprelay.sources.place import FINGERPRINT, Place
from poprelay.sources.reading import Reading, Truncated, refusal

Pack = Callable[[bytes], bytes]
ALL = 1 << 20
ZSTD = zstandard.ZstdCompressor().compress
PACKERS: dict[str, Pack] = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": ZSTD, "bzip2": bz2.compress}
LOG = b"".join(b"line %d\n" % number for number in range(1000))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "mail.log"
    log.write_bytes(LOG)
    return log


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Reading]]:
    """Opens readings, and closes them when the test is over."""
    readings: list[Reading] = []

    def open_one(path: Path) -> Reading:
        readings.append(Reading(path))
        return readings[-1]

    yield open_one
    for reading in readings:
        reading.close()


Open = Callable[[Path], Reading]


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def rest(reading: Reading) -> bytes:
    """All whole lines to the end."""
    return b"".join(block.data for block, _ in iter(lambda: reading.read(ALL), (Block(b""), 0)))


def resumed(path: Path, place: Place) -> tuple[str, int, bytes]:
    """How a file is taken, where reading stands, and what is read then."""
    likeness, reading = Reading.resume(path, place)
    try:
        return likeness, reading.offset, rest(reading)
    finally:
        reading.close()


def test_it_is_read_from_its_start_in_pieces_of_whole_lines(log: Path, opened: Open) -> None:
    os.utime(log, (1_700_000_000, 1_700_000_000))
    reading = opened(log)
    assert reading.modified == 1_700_000_000
    assert reading.is_untouched
    assert reading.read(10) == (Block(b"line 0\n"), 10)
    assert (reading.offset, reading.lag(), reading.size()) == (10, len(LOG) - 10, len(LOG))
    assert not reading.is_untouched
    assert reading.read(ALL) == (Block(LOG[7:]), len(LOG) - 10)
    assert reading.read(ALL) == (Block(b""), 0)
    append(log, b"more\n")
    assert reading.read(ALL) == (Block(b"more\n"), 5)
    assert reading.modified == log.stat().st_mtime


def test_what_was_read_and_is_there_no_more_was_truncated(log: Path, opened: Open) -> None:
    append(log, b"half a line")
    reading = opened(log)
    reading.read(ALL)
    os.truncate(log, 0)
    with pytest.raises(Truncated):
        reading.read(ALL)
    reading.restart()
    append(log, b"new\n")
    assert reading.read(ALL) == (Block(b"new\n"), 4)


@pytest.mark.parametrize("at", [0, FINGERPRINT - 1, -FINGERPRINT, -1])
def test_a_changed_byte_at_the_start_or_before_the_offset_is_a_truncation(log: Path, opened: Open, at: int) -> None:
    """So it is seen where the new content has grown beyond the old before anybody looked."""
    read, skipped = opened(log), opened(log)
    read.read(len(LOG) - 5)
    read.read(5)
    skipped.skip_to_end()
    changed = bytearray(LOG)
    changed[at] ^= 1
    log.write_bytes(bytes(changed) + b"more\n")
    for reading in (read, skipped):
        with pytest.raises(Truncated):
            reading.read(ALL)


def test_what_changed_since_a_glimpse_is_not_read(log: Path, opened: Open) -> None:
    reading = opened(log)
    assert reading.glimpse() == LOG[:FINGERPRINT]
    log.write_bytes(b"other\n")
    assert reading.read(ALL) == (Block(b""), 0)
    assert reading.glimpse() == b"other\n"
    assert reading.read(ALL) == (Block(b"other\n"), 6)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_compressed_log_is_read_like_a_plain_one(log: Path, opened: Open, packer: str) -> None:
    log.write_bytes(PACKERS[packer](LOG))
    reading = opened(log)
    assert (reading.is_packed, reading.is_untouched, reading.lag()) == (True, False, 0)
    assert reading.glimpse() == LOG[:FINGERPRINT]
    assert rest(reading) == LOG
    assert reading.offset == len(LOG)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_damaged_log_ends_where_its_damage_begins_and_says_so_once(
    log: Path, opened: Open, packer: str, logged: LogCapture
) -> None:
    frame = PACKERS[packer](LOG)
    log.write_bytes(frame + frame[:-8])
    reading = opened(log)
    found = rest(reading) + rest(reading)
    assert found.startswith(LOG)
    assert (LOG + LOG).startswith(found)
    damaged = [entry["path"] for entry in logged.entries if entry["event"].startswith("compressed log is damaged")]
    assert damaged == [str(log)]


def test_a_log_that_is_damaged_from_its_first_byte_on_is_empty(log: Path, opened: Open) -> None:
    log.write_bytes(b"\x1f\x8b" + b"nonsense" * 100)
    reading = opened(log)
    assert reading.glimpse() == b""
    assert reading.read(ALL) == (Block(b""), 0)


@pytest.mark.parametrize("packer", [None, *PACKERS])
@pytest.mark.parametrize("first", [0, 3, 700, 5000, len(LOG)])
def test_it_goes_on_where_it_stopped_plain_or_compressed_since(
    log: Path, opened: Open, packer: str | None, first: int
) -> None:
    reading = opened(log)
    before = reading.read(first)[0].data
    place = reading.place()
    if packer is not None:
        log = log.with_name("mail.log.1")
        log.write_bytes(PACKERS[packer](LOG))
    likeness, offset, after = resumed(log, place)
    assert (likeness, offset) == ("same", first)
    assert before + after == LOG


def test_it_goes_on_in_a_compressed_log_of_many_small_frames(log: Path, opened: Open) -> None:
    reading = opened(log)
    reading.read(5000)
    log.write_bytes(b"".join(gzip.compress(LOG[start : start + 100]) for start in range(0, len(LOG), 100)))
    assert resumed(log, reading.place())[:2] == ("same", 5000)


def test_the_state_within_a_line_is_restored(log: Path, opened: Open) -> None:
    log.write_bytes(b"x" * (LONGEST + 1))
    reading = opened(log)
    reading.read(ALL)
    reading.copy_of = (1, 2)
    append(log, b"x\nnext\n")
    likeness, again = Reading.resume(log, reading.place())
    assert (likeness, again.copy_of) == ("same", (1, 2))
    assert again.read(ALL) == (Block(b"\nnext\n", 1), 7)
    again.close()


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()])
def test_a_copy_from_before_all_of_it_was_read_is_shorter_and_at_its_end(log: Path, opened: Open, pack: Pack) -> None:
    reading = opened(log)
    reading.read(5000)
    log.write_bytes(pack(LOG[:4000]))
    assert resumed(log, reading.place()) == ("shorter", 4000, b"")


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()])
@pytest.mark.parametrize("at", [0, FINGERPRINT - 1, 4999])
def test_a_log_with_another_start_or_another_line_before_the_place_is_another(
    log: Path, opened: Open, pack: Pack, at: int
) -> None:
    reading = opened(log)
    reading.read(5000)
    log.write_bytes(pack(LOG[:at] + b"?" + LOG[at + 1 :]))
    assert resumed(log, reading.place())[0] == "other"


def test_a_mark_knows_a_log_by_its_first_bytes_alone(log: Path, opened: Open) -> None:
    reading = opened(log)
    assert reading.glimpse()
    glimpsed = reading.mark()
    reading.read(5000)
    assert reading.mark() == glimpsed
    assert glimpsed.offset == FINGERPRINT
    log.write_bytes(gzip.compress(LOG[:FINGERPRINT] + b"?" * 9000))
    assert resumed(log, glimpsed)[0] == "same"
    assert resumed(log, reading.place())[0] == "other"


@pytest.mark.parametrize(
    ("content", "skipped"),
    [(b"", 0), (b"one\n", 4), (b"one\ntw", 4), (b"tw", 0), (b"one\n" + b"x" * LONGEST, LONGEST + 4)],
)
def test_the_end_is_behind_the_last_whole_line(log: Path, opened: Open, content: bytes, skipped: int) -> None:
    log.write_bytes(content)
    reading = opened(log)
    reading.skip_to_end()
    assert reading.offset == skipped
    append(log, b"o\nthree\n")
    block = reading.read(ALL)[0]
    assert block.data.endswith(b"o\nthree\n" if skipped < LONGEST else b"\nthree\n")
    assert block.cut == (skipped > LONGEST)


def test_the_end_is_known_again(log: Path, opened: Open) -> None:
    reading = opened(log)
    reading.skip_to_end()
    append(log, b"more\n")
    assert resumed(log, reading.place()) == ("same", len(LOG), b"more\n")


def test_what_is_no_log_is_refused_at_once_and_a_missing_one_is_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Reading(tmp_path / "mail.log")
    with pytest.raises(SourceError, match=r"is a directory: give the path of the log file in it$"):
        Reading(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match=r'pipe is not a regular file: .* kind = "stdin"$'):
        Reading(tmp_path / "pipe")
    with pytest.raises(SourceError, match=r"/x cannot be read: Not a directory$"):
        Reading(Path("/dev/null/x"))


def test_a_refusal_of_the_system_names_the_user_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    error = refusal(Path("/var/log/mail.log"), PermissionError(13, "Permission denied"))
    assert error.message == "/var/log/mail.log: permission denied to root"
    assert error.remedy.endswith("`setfacl -m u:root:r /var/log/mail.log`")
    assert error.retry
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    assert "denied to 4000000000" in str(refusal(Path("/a"), PermissionError(13, "Permission denied")))


def test_a_deleted_log_can_still_be_read(log: Path, opened: Open) -> None:
    reading = opened(log)
    assert not reading.is_deleted()
    log.unlink()
    assert reading.is_deleted()
    assert rest(reading) == LOG


def test_a_link_is_followed_once_and_the_name_behind_it_may_be_any(tmp_path: Path, opened: Open) -> None:
    log, link = tmp_path / os.fsdecode(b"m\xffil.log"), tmp_path / "current"
    log.write_bytes(LOG)
    link.symlink_to(log)
    reading = opened(link)
    link.unlink()
    assert reading.path == log
    assert reading.place().path == os.fsencode(log)
    assert rest(reading) == LOG


def test_closing_gives_all_descriptors_back(log: Path) -> None:
    def used() -> int:
        return len([*Path("/proc/self/fd").iterdir()])

    before = used()
    for pack in (bytes, gzip.compress):
        log.write_bytes(pack(LOG))
        reading = Reading(log)
        assert used() == before + 1
        place = msgspec.structs.replace(reading.place(), offset=9)
        reading.close()
        reading.close()
        _, again = Reading.resume(log, place)
        again.close()
    with pytest.raises(SourceError):
        Reading(log.parent)
    assert used() == before
