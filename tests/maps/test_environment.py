"""The LMDB file below Postfix's map: format, lock, size, damage."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb as binding
import pytest

from poprelay.errors import MapError
from poprelay.maps import Entry, environment
from poprelay.maps.lmdb import LmdbMap

Make = Callable[..., Entry]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.lmdb"


@pytest.fixture
def relay(path: Path) -> Iterator[LmdbMap]:
    relay = LmdbMap(path)
    yield relay
    relay.close()


def test_the_file_has_the_format_of_lmdb_0_9_which_todays_postfix_reads(path: Path, relay: LmdbMap) -> None:
    relay.keys()
    page = path.read_bytes()
    assert int.from_bytes(page[16:20], sys.byteorder) == 0xBEEFC0DE
    assert int.from_bytes(page[20:24], sys.byteorder) == 1


@contextmanager
def locked_elsewhere(path: Path, kind: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process holds the lock on the file until it is ended."""
    program = (
        f"import fcntl, sys, time; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.{kind})\n"
        "print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"locked\n"
            yield holder
        finally:
            holder.kill()


@pytest.mark.parametrize("kind", ["LOCK_SH", "LOCK_EX"])
def test_a_change_waits_for_another_programs_lock(path: Path, relay: LmdbMap, entry: Make, kind: str) -> None:
    relay.keys()
    with locked_elsewhere(path, kind) as holder:
        threading.Timer(0.3, holder.kill).start()
        began = time.monotonic()
        relay.change([entry("192.0.2.7")], [])
        assert time.monotonic() - began > 0.2
    assert relay.keys() == {"192.0.2.7"}


def test_a_lock_that_is_never_let_go_is_told_and_does_not_hang_us(path: Path, entry: Make) -> None:
    relay = LmdbMap(path, lock_wait=0.2)
    relay.keys()
    with locked_elsewhere(path, "LOCK_SH"):
        with pytest.raises(MapError, match=r"locked by another program for 0\.2 s"):
            relay.change([entry("192.0.2.7")], [])
        assert relay.keys() == set(), "reading goes on beside another reader"
    relay.change([entry("192.0.2.7")], [])
    assert relay.keys() == {"192.0.2.7"}
    relay.close()


def test_a_reader_that_locks_as_postfix_does_meets_no_change_half_way(
    path: Path, relay: LmdbMap, entry: Make, addresses: Callable[[int], list[str]]
) -> None:
    halves = addresses(2000)[:1000], addresses(2000)[1000:]
    relay.change([entry(address) for address in halves[0]], [])
    program = (
        "import fcntl, lmdb, os, sys, time\n"
        "e = lmdb.open(sys.argv[1], subdir=False, lock=False, readonly=True, map_size=1 << 24, lib_version=0)\n"
        "f = open(sys.argv[1], 'rb'); end = time.monotonic() + 1; counts = set(); print('reading', flush=True)\n"
        "while time.monotonic() < end:\n"
        "    fcntl.lockf(f, fcntl.LOCK_SH)\n"
        "    with e.begin() as t: counts.add(sum(1 for _ in t.cursor()))\n"
        "    fcntl.lockf(f, fcntl.LOCK_UN); time.sleep(0.0005)\n"
        "sys.exit(counts != {1000})"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        changes = 0
        while reader.poll() is None:
            old, new = halves[changes % 2], halves[1 - changes % 2]
            relay.change([entry(address) for address in new], old)
            changes += 1
    assert reader.returncode == 0
    assert changes > 5


@pytest.mark.parametrize("content", [b"no database at all\n" * 1000, bytes(20000)])
def test_a_file_that_is_no_lmdb_file_is_refused_with_the_remedy(path: Path, relay: LmdbMap, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(MapError, match=r"no LMDB 0\.9 file.*: move .*relay\.lmdb away; a new one is made"):
        relay.keys()
    path.unlink()
    assert relay.keys() == set()


def test_a_file_of_lmdb_1_0_is_refused_because_postfix_cannot_read_it(path: Path, relay: LmdbMap) -> None:
    binding.open(str(path), subdir=False, lock=False, lib_version=1).close()
    with pytest.raises(MapError, match=r"no LMDB 0\.9 file"):
        relay.keys()


def test_a_truncated_file_is_told_and_does_not_kill_us(
    path: Path, relay: LmdbMap, entry: Make, addresses: Callable[[int], list[str]]
) -> None:
    relay.change([entry(address) for address in addresses(2000)], [])
    os.truncate(path, 8 * 4096)  # within what is used, before what is kept in reserve
    with pytest.raises(MapError, match="truncated"):
        relay.change([entry("192.0.2.7")], [])
    with pytest.raises(MapError, match="damaged"):
        relay.keys()
    os.truncate(path, 100)
    with pytest.raises(MapError, match="no LMDB"):
        relay.keys()


@pytest.mark.parametrize(("size", "last_page"), [(2**62, 2**50), (2**50, 2**20), (2**63 + 1, 2**63 + 1)])
def test_a_file_that_claims_to_be_larger_than_any_is_told_as_damaged(
    path: Path, relay: LmdbMap, entry: Make, size: int, last_page: int
) -> None:
    relay.change([entry("192.0.2.7")], [])
    with path.open("r+b") as file:
        for page in (0, 4096):  # of LMDB's two meta pages
            for place, number in ((32, size), (136, last_page)):
                file.seek(page + place)
                file.write(number.to_bytes(8, "little"))
    for attempt in (
        lambda: relay.change([entry("192.0.2.8")], []), lambda: relay.change([], ["192.0.2.7"]), relay.keys
    ):  # fmt: skip
        with pytest.raises(MapError, match=r"move .*relay\.lmdb away"):
            attempt()


def test_a_directory_or_a_pipe_in_its_place_is_told(path: Path, relay: LmdbMap) -> None:
    path.mkdir()
    with pytest.raises(MapError, match="there is a directory where a file belongs"):
        relay.keys()
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(MapError, match="not a regular file"):
        relay.keys()


def test_a_missing_directory_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"create the directory .*/nowhere"):
        LmdbMap(tmp_path / "nowhere" / "relay.lmdb").keys()


def test_200_000_addresses_outgrow_the_first_size_and_all_are_there(
    path: Path, relay: LmdbMap, entry: Make, addresses: Callable[[int], list[str]]
) -> None:
    many = addresses(200_000)
    environment.FIRST_SIZE, before = 1 << 20, environment.FIRST_SIZE
    try:
        relay.change([entry(address) for address in many], [])
        assert path.stat().st_size > 4 << 20
        assert relay.keys() == set(many)
        relay.change([], many[1:])
        assert relay.keys() == {many[0]}
    finally:
        environment.FIRST_SIZE = before


def test_a_full_disk_is_told_and_the_map_stays_as_it_was(
    relay: LmdbMap, entry: Make, addresses: Callable[[int], list[str]]
) -> None:
    relay.change([entry("192.0.2.7")], [])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(MapError, match=r"disk that holds .* is full"):
            relay.change([entry(address) for address in addresses(10_000)], ["192.0.2.7"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert relay.keys() == {"192.0.2.7"}
    relay.change([entry("192.0.2.8")], ["192.0.2.7"])
    assert relay.keys() == {"192.0.2.8"}


KILLED = """
import sys
from pathlib import Path
from typing import Any
from poprelay.maps import Entry
from poprelay.maps.lmdb import LmdbMap
relay = LmdbMap(Path(sys.argv[1]))
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


def test_a_process_killed_in_the_middle_of_a_change_leaves_the_map_as_before_or_after(
    path: Path, entry: Make, kill_repeatedly: Callable[[str, Path, int], Iterator[int]]
) -> None:
    for _ in kill_repeatedly(KILLED, path, 12):
        relay = LmdbMap(path)
        held = relay.keys()
        assert len(held) == 500
        assert len({key.split(".")[1] for key in held}) == 1
        relay.change([entry("192.0.2.7")], [])
        relay.change([], ["192.0.2.7"])
        relay.close()
