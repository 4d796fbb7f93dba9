"""What the follower does at each thing that happens to a log; the machine beside this file mixes them all."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from poprelay.sources.follow import Trail
from poprelay.sources.lines import LONGEST
from poprelay.sources.place import Position


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = tmp_path / "mail.log"
    log.write_bytes(b"one\n")
    return log


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as log:
        log.write(data)


def read(trail: Trail) -> list[bytes]:
    """Every whole line that can be read now; fails if reading never comes to rest."""
    lines: list[bytes] = []
    for _ in range(200):
        look = trail.look(1 << 20)
        lines += [line for line in look.block.data.split(b"\n") if line]
        if not look.more:
            return lines
    pytest.fail("reading does not come to rest")


def stopped(trail: Trail) -> Position:
    """What a restart would begin from."""
    position = Position.decode(trail.position(b"").encode())
    trail.close()
    return position


def test_a_source_without_a_position_reads_its_file_from_the_beginning(path: Path) -> None:
    assert read(Trail(path, Position())) == [b"one"]


def test_a_source_told_so_begins_at_the_end(path: Path) -> None:
    trail = Trail(path, Position(), at_end=True)
    assert read(trail) == []
    append(path, b"two\n")
    assert read(trail) == [b"two"]


def test_a_partial_last_line_waits_even_over_a_restart(path: Path) -> None:
    append(path, b"tw")
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    trail = Trail(path, stopped(trail))
    append(path, b"o\n")
    assert read(trail) == [b"two"]


def test_a_rotated_file_is_finished_before_the_new_one_is_begun(path: Path) -> None:
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    append(path, b"two\n")
    path.rename(path.with_name("mail.log.1"))
    path.write_bytes(b"three\n")
    assert read(trail) == [b"two", b"three"]


def test_rotations_while_we_were_down_are_read_in_their_order_compressed_ones_too(path: Path) -> None:
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    position = stopped(trail)
    path.with_name("mail.log.2.gz").write_bytes(gzip.compress(path.read_bytes() + b"two\n"))
    os.utime(path.with_name("mail.log.2.gz"), (1_700_000_000, 1_700_000_000))
    path.write_bytes(b"three\n")
    path.rename(path.with_name("mail.log.1"))
    path.write_bytes(b"four\n")
    assert read(Trail(path, position)) == [b"two", b"three", b"four"]


def test_after_a_truncation_the_rest_is_read_from_the_copy(path: Path) -> None:
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    append(path, b"two\n")
    shutil.copyfile(path, path.with_name("mail.log.1"))
    os.truncate(path, 0)
    append(path, b"three\n")
    assert read(trail) == [b"two", b"three"]


def test_a_log_that_was_deleted_and_made_again_is_read_from_its_start(path: Path) -> None:
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    path.unlink()
    assert read(trail) == []
    assert trail.is_missing
    path.write_bytes(b"two\n")
    assert read(trail) == [b"two"]
    assert not trail.is_missing


def test_a_symlink_that_is_switched_is_followed(path: Path) -> None:
    name = path.with_name("current")
    name.symlink_to(path)
    trail = Trail(name, Position())
    assert read(trail) == [b"one"]
    other = path.with_name("tomorrow.log")
    other.write_bytes(b"two\n")
    name.unlink()
    name.symlink_to(other)
    assert read(trail) == [b"two"]


def test_rotated_logs_that_are_empty_do_not_send_reading_to_and_fro(path: Path) -> None:
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    path.unlink()
    path.with_name("mail.log.3.xz").write_bytes(lzma.compress(b""))
    path.with_name("mail.log.2.bz2").write_bytes(bz2.compress(b""))
    path.with_name("mail.log.1").touch()
    path.touch()
    assert read(trail) == []
    append(path, b"two\n")
    assert read(trail) == [b"two"]


def test_a_compressed_sibling_that_appears_is_not_read_again(path: Path) -> None:
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    path.with_name("mail.log.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    path.write_bytes(b"two\n")
    assert read(trail) == [b"two"]


def test_a_line_over_the_limit_is_cut_and_counted_and_the_next_one_is_read(path: Path) -> None:
    append(path, b"x" * (LONGEST + 1) + b"\ntwo\n")
    trail = Trail(path, Position())
    look = trail.look(1 << 20)
    assert (look.block.data.split(b"\n"), look.block.cut) == ([b"one", b"", b"two", b""], 1)


def test_nul_bytes_and_bytes_that_are_not_utf_8_do_no_harm(path: Path) -> None:
    append(path, b"\0\0\0two\nthr\xffee\n")
    assert read(Trail(path, Position())) == [b"one", b"two", b"thr\xffee"]


def copy_and_truncate(path: Path) -> None:
    shutil.copyfile(path, path.with_name("mail.log.1"))
    os.truncate(path, 0)


def test_a_log_that_was_copied_and_truncated_before_its_first_byte_was_read_is_not_lost(path: Path) -> None:
    os.truncate(path, 0)
    trail = Trail(path, Position())
    assert read(trail) == []
    append(path, b"two\n")
    copy_and_truncate(path)
    assert read(trail) == [b"two"]
    append(path, b"three\n")
    assert read(trail) == [b"three"]


def test_the_same_over_a_restart(path: Path) -> None:
    trail = Trail(path, Position())
    assert read(trail) == [b"one"]
    copy_and_truncate(path)
    assert read(trail) == []
    start = stopped(trail)
    append(path, b"two\n")
    path.with_name("mail.log.1").rename(path.with_name("mail.log.2"))
    copy_and_truncate(path)
    append(path, b"three\n")
    assert read(Trail(path, start)) == [b"two", b"three"]


def test_half_a_line_before_a_truncation_and_half_after_it_are_one_even_over_a_restart(path: Path) -> None:
    trail = Trail(path, Position())
    append(path, b"tw")
    assert read(trail) == [b"one"]
    copy_and_truncate(path)
    assert read(trail) == []
    trail = Trail(path, stopped(trail))
    assert read(trail) == []
    append(path, b"o\nthree\n")
    assert read(trail) == [b"two", b"three"]


def test_a_log_that_begins_with_other_bytes_at_the_same_length_was_truncated(path: Path) -> None:
    path.write_bytes(b"1" + b"x" * 5000 + b"\n")
    trail = Trail(path, Position())
    assert len(read(trail)) == 1
    path.write_bytes(b"2" + b"x" * 5000 + b"\nthree\n")
    assert read(trail) == [b"2" + b"x" * 5000, b"three"]


def test_a_late_line_in_a_rotated_log_that_was_empty_is_read(path: Path) -> None:
    os.truncate(path, 0)
    trail = Trail(path, Position())
    assert read(trail) == []
    path.rename(path.with_name("mail.log.1"))
    append(path, b"three\n")
    assert read(trail) == [b"three"]
    append(path.with_name("mail.log.1"), b"two\n")
    assert read(trail) == [b"two"]


def test_that_the_log_stays_away_is_a_warning_said_once_and_that_it_is_there_again_too(path: Path) -> None:
    path.unlink()
    now = [0.0]
    trail = Trail(path, Position(), elapsed=lambda: now[0])
    with capture_logs() as said:
        for _ in range(10):
            read(trail)
            now[0] += 1
        path.write_bytes(b"one\n")
        assert read(trail) == [b"one"]
    assert [(one["event"], one["log_level"]) for one in said if one["event"].startswith("log is")] == [
        ("log is missing", "warning"),
        ("log is there again", "info"),
    ]
    trail.close()


def test_nothing_is_said_of_the_moment_between_the_steps_of_a_rotation(path: Path) -> None:
    now = [0.0]
    trail = Trail(path, Position(), elapsed=lambda: now[0])
    with capture_logs() as said:
        read(trail)
        for number in range(1, 4):
            path.rename(path.with_name(f"mail.log.{number}"))
            read(trail)
            assert trail.is_missing
            now[0] += 3
            path.write_bytes(b"%d\n" % number)
            assert read(trail) == [b"%d" % number]
            now[0] += 3
    assert [one["event"] for one in said if one["event"].startswith("log is")] == []
    trail.close()
