from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.daemon import units
from poprelay.daemon.root.rootlist import read_list
from poprelay.daemon.setup import rootsetup
from poprelay.daemon.setup.rootsetup import UNITS, edits
from poprelay.errors import MtaError

SECTION = '[[commands]]\nname = "courier"\n[[commands.steps]]\nrun = ["/usr/sbin/makesmtpaccess"]\n'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(units, "_SYSTEMD", tmp_path / "no-systemd")
    return tmp_path / "root.toml"


def test_roots_list_is_written_and_what_stands_there_is_kept(path: Path) -> None:
    (new,) = edits(SECTION, path)
    path.write_bytes(new.content)
    assert list(read_list(path).commands) == ["courier"]
    (same,) = edits(SECTION, path)
    assert same == new

    (more,) = edits(SECTION.replace("courier", "qmail"), path)
    assert more.content.startswith(new.content.rstrip())
    path.write_bytes(more.content)
    assert list(read_list(path).commands) == ["courier", "qmail"]


def test_another_command_of_the_same_name_is_not_taken_for_ours(path: Path) -> None:
    path.write_text(SECTION.replace("makesmtpaccess", "false"))
    with pytest.raises(MtaError, match="another command that is called courier"):
        edits(SECTION, path)


def test_without_a_command_there_is_nothing_to_write(path: Path) -> None:
    assert edits("", path) == []


def test_our_units_are_written_where_systemd_has_none_and_run_this_program(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    monkeypatch.setattr(units, "_SYSTEMD", tmp_path)
    monkeypatch.setattr(units, "OWN", folder)
    monkeypatch.setattr(units, "FOLDERS", (folder,))
    monkeypatch.setattr(rootsetup, "_PROGRAM", "/usr/bin/poprelay")
    written = edits(SECTION, path)[1:]
    assert [edit.path for edit in written] == [folder / unit for unit in UNITS]
    started = [line for line in written[1].content.decode().splitlines() if line.startswith("ExecStart=")]
    program = Path(started[0].removeprefix("ExecStart=").removesuffix(" root-commands"))
    assert program.name == "poprelay"
    assert program.exists()
    for edit in written:
        edit.path.write_bytes(edit.content)
    assert len(edits(SECTION, path)) == 1
