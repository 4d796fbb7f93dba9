"""A file in Courier's smtpaccess directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Section
from poprelay.maps import Entry
from poprelay.maps.courier import CourierMap
from poprelay.maps.text import MARKER, TextMap

MARK = MARKER + "\n"
FULL = ":2001:0db8:0000:0000:0000:0000:0000:0007"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "smtpaccess"
    made.mkdir()
    return made


@pytest.fixture
def relay(section: Callable[..., Section], folder: Path) -> TextMap:
    return CourierMap.from_section(section(path=f"{folder}/poprelay", smtpaccess=str(folder), command=["true"]))


def test_lines_allow_and_set_relayclient(relay: TextMap, entry: Callable[..., Entry]) -> None:
    relay.change([entry("192.0.2.7"), entry("2001:db8::7")], [])
    assert relay.path.read_text() == f"{MARK}192.0.2.7\tallow,RELAYCLIENT\n{FULL}\tallow,RELAYCLIENT\n"
    assert relay.keys() == {"192.0.2.7", "2001:db8::7"}


def test_addresses_that_another_file_names_are_left_to_it(
    relay: TextMap, folder: Path, entry: Callable[..., Entry]
) -> None:
    (folder / "default").write_text(f"192.0.2.7\tdeny\n{FULL.upper()}\tallow\n")
    (folder / ".hidden").write_text("192.0.2.8\tallow\n")
    (folder / "old~").write_text("192.0.2.9\tallow\n")
    (folder / "default.dpkg-dist").write_text("192.0.2.10\tallow\n")
    (folder / "folder").mkdir()
    addresses = ["192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.10", "2001:db8::7"]
    relay.change([entry(address) for address in addresses], [])
    assert relay.keys() == {"192.0.2.9", "192.0.2.10"}
    (folder / "default").write_text("192.0.2.10\tdeny\n")
    relay.change([entry("192.0.2.7")], [])
    assert relay.keys() == {"192.0.2.7", "192.0.2.9"}


def test_nothing_that_makesmtpaccess_would_read_is_left_of_a_change_that_was_cut_short(
    relay: TextMap, folder: Path, entry: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", die)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        relay.change([entry("192.0.2.7")], [])
    left = [file.name for file in folder.iterdir() if file.read_bytes()]
    assert left
    assert all(name.endswith("~") for name in left)


def test_a_copy_of_ours_in_the_directory_takes_nothing(
    section: Callable[..., Section], folder: Path, tmp_path: Path, entry: Callable[..., Entry]
) -> None:
    (folder / "poprelay").write_text("192.0.2.7\tallow,RELAYCLIENT\n")
    relay = CourierMap.from_section(section(path=f"{tmp_path}/poprelay", smtpaccess=str(folder), command=["true"]))
    relay.change([entry("192.0.2.7")], [])
    assert relay.keys() == {"192.0.2.7"}
