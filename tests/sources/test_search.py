"""The file that was being read is known again by its content, wherever it is, and no other is taken for it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from poprelay.errors import SourceError
from poprelay.sources import search as module
from poprelay.sources.place import FINGERPRINT, Identity, Place
from poprelay.sources.reading import Reading
from poprelay.sources.rotation import Listing
from poprelay.sources.search import search

LOG = b"".join(b"line %d\n" % number for number in range(1000))
READ = 5000
Pack = Callable[[bytes], bytes]
ZSTD = zstandard.ZstdCompressor().compress
PACKERS: dict[str, Pack] = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": ZSTD, ".bz2": bz2.compress}


@pytest.fixture(autouse=True)
def _no_descriptor_is_lost() -> Iterator[None]:
    before = {*os.listdir("/proc/self/fd")}  # noqa: PTH208 - only names are wanted
    yield
    assert {*os.listdir("/proc/self/fd")} == before  # noqa: PTH208


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "mail.log"
    log.write_bytes(LOG)
    return log


def place_in(path: Path, read: int = READ) -> Place:
    """Where reading stands when so much of a file has been read."""
    reading = Reading(path)
    reading.read(read)
    place = reading.place()
    reading.close()
    return place


def found(log: Path, place: Place, *, but: Identity | None = None) -> tuple[str, int] | None:
    """The name of the file that is found, and how far it has been read."""
    reading = search(Listing.of(log), place, but=but)
    if reading is None:
        return None
    reading.close()
    return reading.path.name, reading.offset


def test_it_is_found_under_its_own_name(log: Path) -> None:
    assert found(log, place_in(log)) == ("mail.log", READ)


@pytest.mark.parametrize("name", ["mail.log.1", "mail.log.7", "mail.log-20261123", "mail.log.old"])
def test_it_is_found_where_a_rotation_has_put_it(log: Path, name: str) -> None:
    place = place_in(log)
    log.rename(log.with_name(name))
    log.write_bytes(b"new\n")
    assert found(log, place) == (name, READ)


@pytest.mark.parametrize("name", ["mail.log.1", "mail.log.old"])
@pytest.mark.parametrize("read", [3, READ])
def test_a_copy_is_found_where_the_log_itself_was_truncated(log: Path, name: str, read: int) -> None:
    place = place_in(log, read)
    shutil.copyfile(log, log.with_name(name))
    os.truncate(log, 0)
    assert found(log, place) == (name, read)


@pytest.mark.parametrize("suffix", PACKERS)
def test_it_is_found_compressed(log: Path, suffix: str) -> None:
    place = place_in(log)
    log.with_name(f"mail.log.1{suffix}").write_bytes(PACKERS[suffix](LOG))
    log.write_bytes(b"new\n")
    assert found(log, place) == (f"mail.log.1{suffix}", READ)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_damaged_file_is_found_as_far_as_it_goes(log: Path, suffix: str) -> None:
    place = place_in(log, len(LOG))
    log.write_bytes(b"new\n")
    damaged = log.with_name(f"mail.log.1{suffix}")
    rest = PACKERS[suffix](LOG[READ:])
    damaged.write_bytes(PACKERS[suffix](LOG[:READ]) + rest[: len(rest) // 2])
    name, offset = found(log, place) or ("", 0)
    assert name == damaged.name
    assert READ <= offset < len(LOG)
    damaged.write_bytes(PACKERS[suffix](LOG)[:20])
    assert found(log, place) is None


def test_its_inode_in_the_hands_of_another_file_means_nothing(log: Path) -> None:
    place = place_in(log)
    shutil.copyfile(log, log.with_name("mail.log.1"))
    log.write_bytes(b"other\n" * 9000)
    assert found(log, place) == ("mail.log.1", READ)


def test_the_file_with_its_inode_comes_before_its_copies(log: Path) -> None:
    place = place_in(log)
    for name in ("mail.log.1", "mail.log.3", "mail.log.old"):
        shutil.copyfile(log, log.with_name(name))
    log.rename(log.with_name("mail.log.2"))
    log.write_bytes(LOG)
    assert found(log, place) == ("mail.log.2", READ)
    assert found(log, place, but=place.identity) == ("mail.log.1", READ)


def test_the_newest_copy_comes_first_then_others_and_the_live_file_last(log: Path) -> None:
    place = place_in(log)
    log.unlink()
    names = ["mail.log.1", "mail.log.2", "mail.log.old", "mail.log"]
    for name in [".keeps-the-inode", *names]:
        log.with_name(name).write_bytes(LOG)
    for name in names:
        assert found(log, place) == (name, READ)
        log.with_name(name).unlink()
    assert found(log, place) is None


def test_a_live_file_with_another_inode_is_taken_for_it_only_on_a_whole_fingerprint(log: Path) -> None:
    short, whole = place_in(log, FINGERPRINT - 1), place_in(log, FINGERPRINT)
    log.rename(log.with_name("elsewhere"))
    log.write_bytes(LOG)
    log.with_name("elsewhere").write_bytes(b"")
    assert found(log, short) is None
    assert found(log, whole) == ("mail.log", FINGERPRINT)


def test_where_nothing_was_read_only_a_plain_rotated_file_with_its_inode_can_be_it(log: Path) -> None:
    place = place_in(log, 0)
    assert found(log, place) is None
    shutil.copyfile(log, log.with_name("mail.log.2"))
    log.rename(log.with_name("mail.log.1"))
    log.touch()
    assert found(log, place) == ("mail.log.1", 0)
    log.with_name("mail.log.1").rename(log.with_name("mail.log.1.gz"))
    assert found(log, place) is None


def test_a_copy_shorter_than_what_was_read_is_found_at_its_end(log: Path) -> None:
    place = place_in(log)
    log.with_name("mail.log.1").write_bytes(LOG[:4000])
    os.truncate(log, 0)
    log.with_name("mail.log.2").write_bytes(LOG[:3000])
    assert found(log, place) == ("mail.log.1", 4000)
    log.with_name("mail.log.3.gz").write_bytes(gzip.compress(LOG))
    assert found(log, place) == ("mail.log.3.gz", READ), "one that has it all is better"


def test_what_is_shorter_under_its_own_inode_or_name_was_truncated_and_is_not_it(log: Path) -> None:
    place = place_in(log)
    os.truncate(log, 4000)
    assert found(log, place) is None
    log.rename(log.with_name("elsewhere"))
    shutil.copyfile(log.with_name("elsewhere"), log)
    log.with_name("elsewhere").write_bytes(b"")
    assert found(log, place) is None


def test_the_file_behind_a_link_that_was_switched_is_found(tmp_path: Path, log: Path) -> None:
    link = tmp_path / "current"
    today = log.rename(tmp_path / os.fsdecode(b"today\xff.log"))
    link.symlink_to(today)
    place = place_in(link)
    (tmp_path / "tomorrow.log").write_bytes(b"new\n")
    link.unlink()
    link.symlink_to(tmp_path / "tomorrow.log")
    assert found(link, place) == (today.name, READ)
    today.unlink()
    assert found(link, place) is None


def test_a_file_that_may_not_be_read_is_passed_over_unless_it_has_its_inode(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_in(log)
    shutil.copyfile(log, log.with_name("mail.log.2"))
    log.rename(log.with_name("mail.log.1"))
    refused = {"mail.log.1"}

    class Refusing(Reading):
        def __init__(self, path: Path) -> None:
            if path.name in refused:
                raise SourceError(f"{path}: permission denied")
            super().__init__(path)

    monkeypatch.setattr(module, "Reading", Refusing)
    with pytest.raises(SourceError):
        found(log, place)
    assert found(log, place, but=place.identity) == ("mail.log.2", READ)
    refused.add("mail.log.2")
    assert found(log, place, but=place.identity) is None


def test_a_file_that_goes_while_we_search_is_passed_over(log: Path) -> None:
    place = place_in(log)
    shutil.copyfile(log, log.with_name("mail.log.1"))
    listing = Listing.of(log)
    log.unlink()
    reading = search(listing, place)
    assert reading is not None
    assert reading.path.name == "mail.log.1"
    reading.close()
