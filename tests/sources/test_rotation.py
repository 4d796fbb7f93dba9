"""Which files a log has become, and in what order they were written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from poprelay.sources.rotation import Listing, directories, live_entry

FORMS = """
mail.log.2026-11-23 mail.log-2026-11-23T10:00:00.gz mail.log-20261123-1763880000 mail.log_20261123 mail.log.1.zst
mail-20261123.log mail-20261123.log.gz mail.2026.11.23.log mail.1.log mail_2026-11-23.log.xz mail.log-20261123.bz2
"""
OTHERS = """
mail.err mail.err.1 mail.logs.1 mail-2.log mail1.log mail.log1 mailman.log.1 mail.log.1.txt mail-info-20261123.log
mail.log.old mail.log.1.gz.tmp mail.log.gz xmail.log.1 mail.log.\u0661 mail.log.1.Z mail.2026-11-23.err mail.log-
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "mail.log"
    log.write_bytes(b"live\n")
    return log


def rotated(log: Path, *names: str) -> list[str]:
    """What of these files counts as rotated, the oldest first. Their times say nothing."""
    for number, name in enumerate(names):
        made(log.with_name(name), number)
    return [entry.path.name for entry in Listing.of(log).rotated]


def made(path: Path, written: float, content: bytes = b"x\n") -> Path:
    path.write_bytes(content)
    os.utime(path, (written, written))
    return path


def test_of_logs_with_a_number_the_smallest_is_the_newest(log: Path) -> None:
    names = ["mail.log.0", "mail.log.10.gz", "mail.log.2.xz", "mail.log.1"]
    assert rotated(log, *names) == ["mail.log.10.gz", "mail.log.2.xz", "mail.log.1", "mail.log.0"]


def test_of_logs_with_a_date_the_latest_is_the_newest(log: Path) -> None:
    names = ["mail.log-20261123.zst", "mail.log-20261201", "mail.log-20251231.bz2"]
    assert rotated(log, *names) == ["mail.log-20251231.bz2", "mail.log-20261123.zst", "mail.log-20261201"]


@pytest.mark.parametrize("name", FORMS.split())
def test_numbers_and_dates_come_in_many_forms(log: Path, name: str) -> None:
    assert rotated(log, name) == [name]


@pytest.mark.parametrize("name", OTHERS.split())
def test_other_logs_and_leavings_are_no_rotated_ones(log: Path, name: str) -> None:
    assert rotated(log, name) == []


def test_a_log_without_an_extension_has_its_own_files_only(tmp_path: Path) -> None:
    log = made(tmp_path / "mail", 0)
    assert rotated(log, "mail.1", "mail.err", "mail.err.1", "mail.log.1", "maillog.1", "mail-20261123") == [
        "mail.1",
        "mail-20261123",
    ]


def test_where_both_kinds_are_there_the_last_write_decides(log: Path) -> None:
    made(log.with_name("mail.log.1"), 300)
    made(log.with_name("mail.log.2"), 100)
    made(log.with_name("mail.log-20261123"), 200)
    listing = Listing.of(log)
    assert [entry.path.name for entry in listing.rotated] == ["mail.log.2", "mail.log-20261123", "mail.log.1"]


@pytest.mark.parametrize("backwards", [False, True])
def test_while_a_file_is_being_compressed_the_plain_one_counts(
    log: Path, backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "iterdir", lambda path: map(Path, sorted(os.listdir(path), reverse=backwards)))  # noqa: PTH208
    assert rotated(log, "mail.log.2", "mail.log.2.gz", "mail.log.1.gz") == ["mail.log.2", "mail.log.1.gz"]
    log.with_name("mail.log.2").unlink()
    assert rotated(log) == ["mail.log.2.gz", "mail.log.1.gz"]


def test_other_files_of_the_name_may_be_ours_but_are_never_the_next(log: Path) -> None:
    made(log.with_name("mail.log.old"), 0)
    made(log.with_name("mail.err"), 0)
    listing = Listing.of(log)
    assert [entry.path.name for entry in listing.others] == ["mail.log.old"]
    assert [entry.path.name for entry in listing.chain] == ["mail.log"]


def test_only_regular_files_count(log: Path) -> None:
    log.with_name("mail.log.1").mkdir()
    os.mkfifo(log.with_name("mail.log.2"))
    log.with_name("mail.log.3").symlink_to(log)
    log.with_name("mail.log.4").symlink_to(made(log.with_name("elsewhere"), 0))
    log.with_name("mail.log.5").hardlink_to(log)
    listing = Listing.of(log)
    assert (listing.rotated, listing.others) == ((), ())


def test_an_entry_says_what_the_file_was_when_we_looked(log: Path) -> None:
    made(log, 1_700_000_000, b"12345")
    entry = Listing.of(log).live
    assert entry is not None
    status = log.stat()
    assert (entry.path, entry.identity) == (log, (status.st_dev, status.st_ino))
    assert (entry.modified, entry.size, entry.is_packed) == (1_700_000_000, 5, False)
    packed = made(log.with_name("mail.log.1.gz"), 0)
    assert [(entry.path, entry.is_packed) for entry in Listing.of(log).rotated] == [(packed, True)]


def test_a_missing_log_is_no_error_and_its_rotated_files_are_there(log: Path) -> None:
    log.rename(log.with_name("mail.log.1"))
    listing = Listing.of(log)
    assert listing.live is None
    assert [entry.path.name for entry in listing.chain] == ["mail.log.1"]
    nowhere = Listing.of(log.parent / "gone" / "mail.log")
    assert (nowhere.chain, nowhere.others) == ((), ())


def test_a_link_that_dangles_or_a_directory_that_is_a_file_is_a_missing_log(log: Path) -> None:
    link = log.with_name("current")
    link.symlink_to("nowhere")
    assert live_entry(link) is None
    assert live_entry(log / "mail.log") is None


def test_what_the_system_refuses_otherwise_is_an_error(log: Path) -> None:
    link = log.with_name("loop")
    link.symlink_to("loop")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        Listing.of(link)


def test_a_directory_that_may_not_be_listed_shows_the_live_file(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(log.with_name("mail.log.1"), 0)

    def refused(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    assert [entry.path.name for entry in Listing.of(log).chain] == ["mail.log"]


def test_behind_a_link_the_files_of_both_names_are_seen(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = made(tmp_path / "real" / "today.log", 0)
    made(tmp_path / "real" / "today.log.1", 0)
    link = tmp_path / "mail.log"
    link.symlink_to(target)
    made(tmp_path / "mail.log.2", 0)
    listing = Listing.of(link)
    assert [entry.path.name for entry in listing.rotated] == ["mail.log.2", "today.log.1"]
    assert listing.live is not None
    assert listing.live.identity == (target.stat().st_dev, target.stat().st_ino)
    assert directories(link) == (tmp_path, tmp_path / "real")
    assert directories(target) == (tmp_path / "real",)


@pytest.mark.parametrize(("link", "target"), [("mail", "mail.log"), ("mail.log", "mail")])
def test_a_file_whose_number_shows_behind_one_of_two_names_is_rotated(tmp_path: Path, link: str, target: str) -> None:
    (tmp_path / link).symlink_to(made(tmp_path / target, 0))
    assert rotated(tmp_path / link, "mail.log.2", "mail.log.1") == ["mail.log.2", "mail.log.1"]
    assert Listing.of(tmp_path / link).others == ()


def test_what_comes_after_a_file_is_known_while_it_is_among_the_rotated_ones(log: Path) -> None:
    rotated(log, "mail.log.2", "mail.log.1", "mail.log.old")
    listing = Listing.of(log)
    assert [listing.after(entry.identity) for entry in listing.chain] == [listing.chain[1:], listing.chain[2:], ()]
    assert listing.after(listing.others[0].identity) is None


def test_what_was_written_since_a_time_is_also_the_live_file_and_what_is_empty(log: Path) -> None:
    made(log.with_name("mail.log.4"), 50, b"")
    made(log.with_name("mail.log.3"), 100)
    made(log.with_name("mail.log.2"), 101)
    made(log, 0)
    names = [entry.path.name for entry in Listing.of(log).since(100)]
    assert names == ["mail.log.4", "mail.log.2", "mail.log"]


def test_two_looks_differ_if_a_name_or_a_file_does(log: Path) -> None:
    made(log.with_name("mail.log.1"), 0)
    before = Listing.of(log)
    made(log, 9, b"more\n" * 9)
    made(log.with_name("mail.log.old"), 0)
    assert before.same_files(Listing.of(log))
    log.with_name("mail.log.1").rename(log.with_name("mail.log.2"))
    renamed = Listing.of(log)
    assert not before.same_files(renamed)
    log.rename(log.with_name("mail.log.1"))
    assert not renamed.same_files(Listing.of(log))
    log.with_name("mail.log.1").unlink()
    log.with_name("mail.log.2").rename(log)
    assert not before.same_files(Listing.of(log))
