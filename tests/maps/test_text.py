"""The text file with one line for each address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from poprelay.config.section import Section
from poprelay.errors import MapError
from poprelay.maps import Entry
from poprelay.maps.keys import foreign
from poprelay.maps.text import MARKER, TextMap, flaw

Make = Callable[..., Entry]
Refusals = Callable[[Section], list[tuple[str, str, str]]]
MARK = MARKER.encode() + b"\n"


def names(directory: Path) -> list[str]:
    """What is in a directory, hidden files too."""
    return sorted(found.name for found in directory.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay"


def test_nothing_is_touched_before_the_first_call(path: Path) -> None:
    TextMap(path, command=["/nonexistent"]).close()
    assert not path.exists()


def test_a_missing_file_is_made_with_the_marker_alone(path: Path) -> None:
    assert TextMap(path).keys() == set()
    assert path.read_bytes() == MARK
    assert path.stat().st_mode & 0o777 == 0o644


def test_addresses_stand_below_the_marker_sorted_as_numbers_ipv4_first(path: Path, entry: Make) -> None:
    wanted = ["2001:db8::10", "192.0.2.10", "192.0.2.9", "2001:db8::9", "10.0.0.1"]
    TextMap(path).change([entry(address) for address in wanted], [])
    assert path.read_bytes() == MARK + b"10.0.0.1\n192.0.2.9\n192.0.2.10\n2001:db8::9\n2001:db8::10\n"


@pytest.mark.parametrize(
    ("line_format", "line"),
    [
        ("%i RELAY", b"192.0.2.7 RELAY\n"),
        ("Connect:%i\tRELAY", b"Connect:192.0.2.7\tRELAY\n"),
        ('%i:allow,RELAYCLIENT=""', b'192.0.2.7:allow,RELAYCLIENT=""\n'),
        ("permit %i", b"permit 192.0.2.7\n"),
    ],
)
def test_the_format_makes_the_line_and_reads_it_back(path: Path, entry: Make, line_format: str, line: bytes) -> None:
    relay = TextMap(path, line_format)
    relay.change([entry("192.0.2.7")], [])
    assert path.read_bytes() == MARK + line
    assert relay.keys() == {"192.0.2.7"}
    relay.change([entry("2001:db8::7")], ["192.0.2.7"])
    assert relay.keys() == {"2001:db8::7"}


@pytest.mark.parametrize(
    "above",
    [
        b"# mine\n127.0.0.1 RELAY\n",
        b"",
        b"\n\n   \n",
        b"192.0.2.66\n",
        b"caf\xe9 latin-1\r\n\ttabs \xff\n",
        b"# Above configuration will be preserved by somebody else.\n",
        b"  " + MARK,
    ],
)
def test_what_stands_above_the_marker_is_kept_byte_for_byte(path: Path, entry: Make, above: bytes) -> None:
    path.write_bytes(above + MARK + b"192.0.2.1\n192.0.2.2\n")
    relay = TextMap(path)
    assert relay.keys() == {"192.0.2.1", "192.0.2.2"}
    relay.change([entry("192.0.2.3")], ["192.0.2.1"])
    assert path.read_bytes() == above + MARK + b"192.0.2.2\n192.0.2.3\n"


@pytest.mark.parametrize(
    ("found", "kept"),
    [(b"mine\n", b"mine\n"), (b"mine", b"mine\n"), (b"192.0.2.66\n\n", b"192.0.2.66\n\n"), (b"", b"")],
)
def test_a_file_without_the_marker_is_a_persons_and_kept_above_it(
    path: Path, entry: Make, found: bytes, kept: bytes
) -> None:
    path.write_bytes(found)
    relay = TextMap(path)
    assert relay.keys() == set()
    assert path.read_bytes() == found
    relay.change([entry("192.0.2.7")], [])
    assert path.read_bytes() == kept + MARK + b"192.0.2.7\n"


def test_the_file_of_mail_poprelay_which_ends_without_a_newline_is_read(path: Path) -> None:
    path.write_bytes(b"mine RELAY\n" + MARK + b"192.0.2.2 RELAY\n192.0.2.1 RELAY")
    relay = TextMap(path, "%i RELAY")
    assert relay.keys() == {"192.0.2.1", "192.0.2.2"}
    relay.change([], [])
    assert path.read_bytes() == b"mine RELAY\n" + MARK + b"192.0.2.1 RELAY\n192.0.2.2 RELAY\n"


def test_a_marker_with_another_line_end_is_still_the_marker(path: Path) -> None:
    path.write_bytes(b"mine\r\n" + MARKER.encode() + b"\r\n192.0.2.1\n")
    assert TextMap(path).keys() == {"192.0.2.1"}
    path.write_bytes(b"mine\n" + MARKER.encode())
    assert TextMap(path).keys() == set()


def test_what_a_person_adds_above_while_we_run_is_kept(path: Path, entry: Make) -> None:
    relay = TextMap(path)
    relay.change([entry("192.0.2.1")], [])
    path.write_bytes(b"10.0.0.0/8\n" + path.read_bytes())
    relay.change([entry("192.0.2.2")], [])
    assert path.read_bytes() == b"10.0.0.0/8\n" + MARK + b"192.0.2.1\n192.0.2.2\n"


@pytest.mark.parametrize("line", [b"192.0.2", b"0.0.0.0/0", b"192.0.2.7\r", b"# a word", b" 192.0.2.7", b"\xff"])
def test_a_line_below_the_marker_that_is_not_ours_is_foreign_and_goes(path: Path, entry: Make, line: bytes) -> None:
    path.write_bytes(MARK + b"192.0.2.1\n" + line + b"\n")
    relay = TextMap(path)
    assert relay.keys() == {"192.0.2.1", foreign(line)}
    relay.change([], [foreign(line)])
    assert path.read_bytes() == MARK + b"192.0.2.1\n"


def test_lines_that_another_program_changed_are_noticed_at_our_next_change_and_told(path: Path, entry: Make) -> None:
    relay = TextMap(path)
    relay.change([entry("192.0.2.1")], [])
    path.write_bytes(MARK + b"10.9.9.9\n")
    with pytest.raises(MapError, match="another program changed the lines below the marker"):
        relay.change([entry("192.0.2.2")], [])
    assert relay.keys() == {"10.9.9.9", "192.0.2.2"}
    relay.change([entry("192.0.2.1")], ["10.9.9.9"])
    assert relay.keys() == {"192.0.2.1", "192.0.2.2"}


@pytest.mark.parametrize("key", ["192.0.2", "unknown", "", "2001:db8:0:1::/64", "192.0.2.7\n0.0.0.0/0"])
def test_a_key_that_is_no_full_address_is_refused_and_never_reaches_the_file(path: Path, entry: Make, key: str) -> None:
    relay = TextMap(path)
    with pytest.raises(ValueError, match="may not be a key"):
        relay.change([entry("192.0.2.7"), entry(key)], [])
    with pytest.raises(ValueError, match="may not be a key"):
        relay.change([], [key])
    assert not path.exists()


def test_a_file_that_needs_no_change_is_not_written(path: Path, entry: Make) -> None:
    relay = TextMap(path)
    relay.change([entry("192.0.2.1")], [])
    before = path.stat()
    relay.change([entry("192.0.2.1")], ["192.0.2.9"])
    assert path.stat() == before


def test_a_link_to_the_file_is_kept_and_its_target_replaced(tmp_path: Path, path: Path, entry: Make) -> None:
    target = tmp_path / "elsewhere" / "access"
    target.parent.mkdir()
    path.symlink_to(target)
    TextMap(path).change([entry("192.0.2.1")], [])
    assert path.is_symlink()
    assert target.read_bytes() == MARK + b"192.0.2.1\n"
    assert names(target.parent) == ["access"]


def test_a_database_named_by_mistake_is_refused_and_not_touched(path: Path, entry: Make) -> None:
    path.write_bytes(b"\x00\x06\x15\x61binary")
    with pytest.raises(MapError, match="not a text file"):
        TextMap(path).keys()
    with pytest.raises(MapError, match="not a text file"):
        TextMap(path).change([entry("192.0.2.1")], [])
    assert path.read_bytes() == b"\x00\x06\x15\x61binary"


def test_a_missing_directory_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"create the directory .*/nowhere"):
        TextMap(tmp_path / "nowhere" / "relay").keys()


def test_100_000_addresses_are_written_and_read_back(
    path: Path, entry: Make, addresses: Callable[[int], list[str]]
) -> None:
    many = addresses(100_000)
    relay = TextMap(path, "%i RELAY")
    relay.change([entry(address) for address in many], [])
    assert relay.keys() == set(many)
    relay.change([], many[1:])
    assert path.read_bytes() == MARK + f"{many[0]} RELAY\n".encode()


def test_nothing_is_left_beside_the_file_when_all_is_well(path: Path, entry: Make) -> None:
    path.with_name(f".{path.name}.1.new").touch()
    relay = TextMap(path, command=["true"])
    relay.keys()
    relay.change([entry("192.0.2.1")], [])
    assert names(path.parent) == ["relay"]


KILLED = """
import sys
from pathlib import Path
from typing import Any
from poprelay.maps import Entry, command
from poprelay.maps.text import TextMap
relay = TextMap(Path(sys.argv[1]))
old = relay.keys()
generation = 0
while True:
    generation += 1
    new = [f"10.{generation % 250}.{n >> 8}.{n & 255}" for n in range(500)]
    relay.change([Entry(address, ("ann",), 1.0, 2.0) for address in new], old)
    old = new
    if generation == 1:
        print("published", flush=True)
"""


def test_a_process_killed_in_the_middle_of_a_change_leaves_the_file_as_before_or_after(
    path: Path, kill_repeatedly: Callable[[str, Path, int], Iterator[int]]
) -> None:
    path.write_bytes(b"a person's line\n")
    for _ in kill_repeatedly(KILLED, path, 12):
        content = path.read_bytes()
        assert content.startswith(b"a person's line\n" + MARK)
        held = TextMap(path).keys()
        assert len(held) == 500
        assert len({key.split(".")[1] for key in held}) == 1
        assert names(path.parent) == ["relay"]


@pytest.mark.parametrize(
    "line_format",
    ["", "OK", "%m", "%i %i", "%i/8", "%i/32", "1%i", "%i1", "%i.", ".%i", "%i\n", "%i %%", "# %i", "%i\0"],
)
def test_a_format_that_would_not_name_exactly_the_address_is_refused(path: Path, line_format: str) -> None:
    assert flaw(line_format)
    with pytest.raises(ValueError, match=r"%i|control|comment|right"):
        TextMap(path, line_format)


@pytest.mark.parametrize("keys", [{"format": ""}, {"format": 7}, {"command": ""}, {"command": 7}, {"interval": "2"}])
def test_a_mistake_is_told_once(
    path: Path, section: Callable[..., Section], refused: Refusals, keys: dict[str, Any]
) -> None:
    bad = section(path=str(path), **keys)
    TextMap.from_section(bad)
    assert len(refused(bad)) == 1


def test_one_by_one_gives_the_same_file_as_all_at_once(
    tmp_path: Path, entry: Make, addresses: Callable[[int], list[str]]
) -> None:
    one, all_at_once = TextMap(tmp_path / "one"), TextMap(tmp_path / "all")
    many = addresses(40)
    for address in (*many[::-3], *many):
        one.change([entry(address)], [])
    one.change([], many[:5])
    all_at_once.change([entry(address) for address in many[5:]], [])
    assert one.path.read_bytes() == all_at_once.path.read_bytes()
