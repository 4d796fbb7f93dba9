from __future__ import annotations

import os
import struct
from pathlib import Path
from pwd import getpwuid
from typing import Any

import pytest

from poprelay.errors import MtaError
from poprelay.mta import Edit, Folder
from poprelay.mta.apply import Before, Record, apply, diff, pending, read_record, run, undo
from poprelay.mta.backups import backup_of
from poprelay.mta.backups import replace as put


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "main.cf"
    path.write_text("a = 1\nb = 2\n")
    path.chmod(0o640)
    return path


def test_what_was_applied_is_taken_back_to_the_last_bit(tmp_path: Path, file: Path) -> None:
    before = file.stat()
    record_path, record = tmp_path / "setup.json", Record("postfix")
    new = tmp_path / "new.toml"
    apply([Edit(file, b"a = 3\n"), Edit(new, b"x")], [], record_path, record)
    assert (file.read_text(), new.read_text()) == ("a = 3\n", "x")
    assert file.stat().st_mode == before.st_mode
    assert backup_of(file).read_text() == "a = 1\nb = 2\n"

    assert undo(record_path, read_record(record_path), print)
    after = file.stat()
    assert (file.read_text(), after.st_mode, after.st_mtime_ns) == (
        "a = 1\nb = 2\n",
        before.st_mode,
        before.st_mtime_ns,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.cf"]


def test_a_second_run_keeps_the_first_backup(tmp_path: Path, file: Path) -> None:
    record_path = tmp_path / "setup.json"
    for content in (b"a = 3\n", b"a = 4\n"):
        apply([Edit(file, content)], [], record_path, read_record(record_path))
    undo(record_path, read_record(record_path), print)
    assert file.read_text() == "a = 1\nb = 2\n"


def test_a_file_that_was_changed_since_is_left_and_so_is_its_backup(tmp_path: Path, file: Path) -> None:
    record_path, record = tmp_path / "setup.json", Record("postfix")
    apply([Edit(file, b"a = 3 poprelay\n")], [], record_path, record)
    file.write_text("a = 5 poprelay\n")
    said: list[str] = []
    assert not undo(record_path, record, said.append)
    assert "was changed since, and is left as it is" in said[0]
    assert (file.read_text(), backup_of(file).exists(), record_path.exists()) == ("a = 5 poprelay\n", True, True)


def test_what_others_write_is_put_back_as_it_was_whatever_became_of_it(tmp_path: Path, file: Path) -> None:
    record_path, new = tmp_path / "setup.json", tmp_path / "new"
    for _ in range(2):
        apply([], [], record_path, read_record(record_path), [file, new])
        file.write_text("theirs")
        new.touch()
    file.chmod(0o666)
    assert undo(record_path, read_record(record_path), print)
    assert (file.read_text(), file.stat().st_mode & 0o777, new.exists()) == ("a = 1\nb = 2\n", 0o640, False)


def test_a_strangers_backup_is_not_overwritten(tmp_path: Path, file: Path) -> None:
    backup_of(file).write_text("somebody's")
    with pytest.raises(MtaError, match="in the way"):
        apply([Edit(file, b"x")], [], tmp_path / "setup.json", Record("postfix"))
    assert file.read_text() == "a = 1\nb = 2\n"


def test_what_was_begun_and_failed_can_be_taken_back(tmp_path: Path, file: Path) -> None:
    record_path, record = tmp_path / "setup.json", Record("postfix")
    with pytest.raises(MtaError):
        apply([Edit(file, b"x"), Edit(tmp_path / "gone" / "file", b"x")], [], record_path, record)
    undo(record_path, read_record(record_path), print)
    assert file.read_text() == "a = 1\nb = 2\n"


def test_a_link_is_kept_and_its_target_is_changed(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    record_path, record = tmp_path / "setup.json", Record("postfix")
    apply([Edit(link, b"x")], [], record_path, record)
    assert (link.is_symlink(), file.read_text()) == (True, "x")
    undo(record_path, record, print)
    assert (link.is_symlink(), file.read_text()) == (True, "a = 1\nb = 2\n")


def test_folders_are_made_and_removed_if_nothing_lies_in_them(tmp_path: Path) -> None:
    record_path, record = tmp_path / "setup.json", Record("postfix")
    user = getpwuid(os.geteuid()).pw_name
    empty, full = tmp_path / "empty", tmp_path / "full"
    apply([], [Folder(empty, user, mode=0o700), Folder(full, user)], record_path, record)
    assert empty.stat().st_mode & 0o777 == 0o700
    (full / "x").touch()
    undo(record_path, record, print)
    assert (empty.exists(), full.exists()) == (False, True)


def test_the_difference_is_shown_and_nothing_is_pending_that_is_so_already(tmp_path: Path, file: Path) -> None:
    edits = [Edit(file, b"a = 1\nb = 3\n"), Edit(tmp_path / "new", b"x")]
    assert "-b = 2\n+b = 3\n" in diff(edits)
    assert "--- /dev/null" in diff(edits)
    assert pending([Edit(file, file.read_bytes())]) == []


def test_a_command_that_fails_is_an_error_with_its_last_word() -> None:
    run([("true",)])
    with pytest.raises(MtaError, match="no good"):
        run([("sh", "-c", "echo no good >&2; exit 3")])
    with pytest.raises(MtaError, match="poprelay-is-not-there"):
        run([("poprelay-is-not-there",)])


def test_a_later_run_is_taken_back_alone(tmp_path: Path, file: Path) -> None:
    record_path, new = tmp_path / "setup.json", tmp_path / "new.toml"
    apply([Edit(file, b"a = 3\n")], [], record_path, Record("postfix"))
    first = record_path.read_bytes()
    edits = [Edit(file, b"a = 4\n"), Edit(new, b"x")]
    before = Before.of(edits, read_record(record_path))
    record = read_record(record_path)
    apply(edits, [], record_path, record)
    before.put_back(record_path, record)
    assert (file.read_text(), file.stat().st_mode & 0o777, new.exists()) == ("a = 3\n", 0o640, False)
    assert record_path.read_bytes() == first
    undo(record_path, read_record(record_path), print)
    assert file.read_text() == "a = 1\nb = 2\n"


def test_an_access_list_is_kept(tmp_path: Path, file: Path) -> None:
    entries = [(1, 6, -1), (2, 4, 1000), (4, 4, -1), (16, 4, -1), (32, 0, -1)]  # acl(5): ann, too, may read it
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(file, "system.posix_acl_access", acl)
    record_path = tmp_path / "setup.json"
    apply([Edit(file, b"x")], [], record_path, Record("postfix"))
    assert os.getxattr(file, "system.posix_acl_access") == acl
    undo(record_path, read_record(record_path), print)
    assert os.getxattr(file, "system.posix_acl_access") == acl


OURS = b"a = 1\nb = poprelay\n"


@pytest.mark.parametrize(
    ("theirs", "left"),
    [
        ("a = 7\nb = poprelay\nc = 3\n", "a = 7\nb = 2\nc = 3\n"),
        ("a = 7\nb = theirs\n", "a = 7\nb = theirs\n"),
    ],
)
def test_what_others_have_changed_since_stays_and_what_is_ours_goes(
    tmp_path: Path, file: Path, theirs: str, left: str
) -> None:
    record_path = tmp_path / "setup.json"
    apply([Edit(file, OURS)], [], record_path, Record("postfix"), asking=True)
    file.write_text(theirs)
    assert undo(record_path, read_record(record_path), print)
    assert file.read_text() == left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.cf"]


def test_a_later_run_keeps_what_others_have_changed_between(tmp_path: Path, file: Path) -> None:
    record_path, config = tmp_path / "setup.json", tmp_path / "poprelay.toml"
    apply([Edit(file, OURS), Edit(config, b"x\n")], [], record_path, Record("postfix"), asking=True)
    file.write_text("a = 7\nb = poprelay\n")
    config.write_text("x\ntheirs\n")
    edits = [Edit(file, b"a = 7\nb = otherwise poprelay\n"), Edit(config, b"x\ntheirs\nmore\n")]
    apply(edits, [], record_path, read_record(record_path), asking=True)
    undo(record_path, read_record(record_path), print)
    assert (file.read_text(), config.read_text()) == ("a = 7\nb = 2\n", "x\ntheirs\nmore\n")


def test_while_the_mta_asks_still_all_that_it_asks_stays(tmp_path: Path, file: Path) -> None:
    record_path, config, new = (tmp_path / name for name in ("setup.json", "poprelay.toml", "poprelay.cf"))
    apply([Edit(config, b"x\n")], [], record_path, Record("postfix"))
    apply([Edit(new, b"y\n"), Edit(file, OURS)], [], record_path, read_record(record_path), asking=True)
    file.write_text("b = other, poprelay\n")
    ended: list[str] = []
    assert not undo(record_path, read_record(record_path), print, lambda: ended.append("daemon"))
    assert (file.read_text(), config.exists(), new.exists(), ended) == ("b = other, poprelay\n", True, True, [])
    file.write_text("b = other\n")
    assert undo(record_path, read_record(record_path), print, lambda: ended.append("daemon"))
    assert (file.read_text(), config.exists(), new.exists(), ended) == ("b = other\n", False, False, ["daemon"])


@pytest.mark.parametrize("call", ["backups.shutil.copy2", "apply.replace"])
def test_what_was_cut_off_at_any_step_is_taken_back(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    record_path = tmp_path / "setup.json"

    def fill_up(path: Path, *rest: Any) -> None:
        if path != file:
            return put(path, *rest)
        backup_of(file).with_name(f".{backup_of(file).name}.poprelay-new").write_text("a =")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(f"poprelay.mta.{call}", fill_up)
        with pytest.raises(MtaError, match=r"main.cf: No space left on device"):
            apply([Edit(file, OURS)], [], record_path, Record("postfix"), asking=True)
    assert undo(record_path, read_record(record_path), print)
    assert file.read_text() == "a = 1\nb = 2\n"
    apply([Edit(file, OURS)], [], record_path, read_record(record_path), asking=True)
    assert backup_of(file).read_text() == "a = 1\nb = 2\n"
