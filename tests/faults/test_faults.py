"""What mail servers go through: each fault while logins are written and both map and service are asked."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from faults.world import World
from live.packages import PackagesError, prefix
from live.running import until

MOUNTS = os.geteuid() == 0


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = Path(tmp_path_factory.mktemp("w"))
    world = World(place)
    yield world
    world.end()
    assert world.wrong == []
    assert world.asked > 50


@contextlib.contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A small disk of its own at that folder."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte of a disk."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def test_killed_at_random(world: World) -> None:
    world.begin()
    for _ in range(4):
        time.sleep(world.chance.uniform(0.1, 0.8))
        world.kill()
        time.sleep(world.chance.uniform(0.0, 0.5))
        world.restart()
    world.settled()


def rename(world: World) -> None:
    world.log.rename(world.log.with_suffix(".log.1"))


def copytruncate(world: World) -> None:
    with world.quiet():
        shutil.copyfile(world.log, world.log.with_suffix(".log.1"))
        os.truncate(world.log, 0)


def compress(world: World) -> None:
    old = world.log.with_suffix(".log.1")
    world.log.rename(old)
    time.sleep(0.5)
    old.with_suffix(".1.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()


def replace_directory(world: World) -> None:
    with world.quiet():
        world.logs.rename(world.logs.with_suffix(".old"))
        world.logs.mkdir()


def switch_link(world: World) -> None:
    with world.quiet():
        world.log.rename(world.logs / "monday")
        world.log.symlink_to(world.logs / "monday")
    time.sleep(0.5)
    with world.quiet():
        new = world.logs / "new"
        new.symlink_to(world.logs / "tuesday")
        (world.logs / "tuesday").touch()
        new.rename(world.log)


def delete(world: World) -> None:
    with world.quiet():
        until(lambda: world.poprelay.run("status", "--json").objects()[0]["sources"][0]["lag"] == 0)
        world.log.unlink()


@pytest.mark.parametrize("rotate", [rename, copytruncate, compress, replace_directory, switch_link, delete])
def test_rotated(world: World, rotate: Callable[[World], None]) -> None:
    world.begin()
    for _ in range(2):
        time.sleep(0.5)
        rotate(world)
        time.sleep(0.7)
        for old in world.logs.parent.glob("logs.old"):
            old.rename(world.place / f"gone{time.time_ns()}")
    world.settled()


@pytest.mark.parametrize("what", ["state", "logs"])
def test_a_disk_fills_and_empties(world: World, what: str) -> None:
    with tmpfs(world.state if what == "state" else world.logs, "24m"):
        (world.state / "private").mkdir(exist_ok=True)
        world.log.touch()
        world.begin()
        time.sleep(0.5)
        disk = world.state if what == "state" else world.logs
        filler = fill(disk)
        time.sleep(3.0)
        if what == "state":
            assert world.explained("cannot be written|disk is full|No space left")
        filler.unlink()
        world.settled(seconds=20)
        world.end()


def test_a_disk_is_read_only_for_a_while(world: World) -> None:
    with tmpfs(world.state, "24m"):
        (world.state / "private").mkdir()
        world.begin()
        time.sleep(0.5)
        frozen = subprocess.run(["mount", "-o", "remount,ro,size=24m", world.state], capture_output=True, check=False)
        if frozen.returncode == 0:  # else the kernel does not while a file is open for writing: nothing to see
            time.sleep(3.0)
            assert world.explained("cannot be written|Read-only")
            subprocess.run(["mount", "-o", "remount,rw,size=24m", world.state], check=True)
        world.settled(seconds=20)
        world.end()


def test_the_permission_to_read_the_log_is_taken_and_given_back(world: World) -> None:
    if shutil.which("setpriv") is None or not MOUNTS:
        pytest.skip("needs root, to be root without root's right to read everything")
    world.poprelay.prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    world.begin()
    time.sleep(0.5)
    world.kill()
    world.log.chmod(0)
    world.poprelay.start()
    until(lambda: world.explained("permission denied"), seconds=5)
    world.log.chmod(0o644)
    world.muzzled.clear()
    world.settled(seconds=15)


def damage_by_bits(ledger: Path) -> None:
    raw = bytearray(ledger.read_bytes())
    for place in range(100, len(raw), 97):
        raw[place] ^= 0x55
    ledger.write_bytes(raw)


def damage_by_length(ledger: Path) -> None:
    os.truncate(ledger, ledger.stat().st_size // 2)


def damage_by_noise(ledger: Path) -> None:
    ledger.write_bytes(os.urandom(20_000))


@pytest.mark.parametrize("damage", [damage_by_bits, damage_by_length, damage_by_noise])
def test_a_damaged_ledger_is_set_aside_and_nobody_comes_back_by_it(
    world: World, damage: Callable[[Path], None]
) -> None:
    world.begin()
    time.sleep(1.5)
    with world.quiet():
        assert world.poprelay.stop() == 0
        world.muzzled.set()
        damage(world.poprelay.ledger)
        for login in world.logins.values():
            login.must, login.until = False, time.time()
        world.restart()  # it begins at the end of its log
    assert world.explained("set aside")
    until(lambda: bool(world.keys()), seconds=5)
    assert world.missing() == []


def test_without_its_journal_the_ledger_is_older_or_set_aside_but_never_wrong(world: World) -> None:
    world.begin()
    time.sleep(1.5)
    world.kill()
    world.forget()
    for name in ("-wal", "-shm"):
        Path(f"{world.poprelay.ledger}{name}").unlink(missing_ok=True)
    with world.quiet():
        world.restart()
    world.forget()
    time.sleep(1.0)
    assert world.missing() == []


@pytest.mark.parametrize("how", ["removed", "noise", "truncated"])
def test_a_map_that_is_lost_or_damaged_is_made_again(world: World, how: str) -> None:
    world.begin()
    time.sleep(1.0)
    file = world.state / "relay.lmdb"
    if how == "removed":
        file.unlink()
    else:
        world.kill()
        file.write_bytes(os.urandom(20_000) if how == "noise" else file.read_bytes()[:5000])
        world.poprelay.start()
        until(lambda: world.explained("move .* away"), seconds=5)
        file.rename(file.with_suffix(".aside"))
        until(file.exists, seconds=40)
        world.muzzled.clear()
    world.settled(seconds=15)


def test_noise_long_lines_and_half_lines(world: World) -> None:
    world.begin()
    with world.quiet():
        world.write("x" * 10_000_000)
        world.write("\n")
        with world.log.open("ab") as log:
            log.write(os.urandom(200_000).replace(b"\n", b" ") + b"\n" + b"\0" * 5000)
    for _ in range(20):
        with world.quiet():
            line = world.stamped("imap-login: Login: user=<half>, method=PLAIN, rip=9.9.9.9, lip=1.1.1.1, mpid=1")
            world.write(line[:60])
        time.sleep(0.01)
        with world.quiet():
            world.write("\n")
    assert world.memory() < 120
    world.settled()


def test_no_inotify_is_left(world: World) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    if limit > 2000:
        pytest.skip("there are too many to use them up")
    libc = ctypes.CDLL(None)
    taken: list[int] = []
    try:
        while (fd := libc.inotify_init()) >= 0:
            taken.append(fd)
        world.begin()
        time.sleep(1.5)
        rename(world)
        time.sleep(0.5)
        world.settled(seconds=15)
    finally:
        for fd in taken:
            os.close(fd)


def test_descriptors_run_out(world: World) -> None:
    world.begin()
    time.sleep(0.3)
    old = resource.prlimit(world.poprelay.pid, resource.RLIMIT_NOFILE)
    peers: list[socket.socket] = []
    used = len([*Path(f"/proc/{world.poprelay.pid}/fd").iterdir()])
    resource.prlimit(world.poprelay.pid, resource.RLIMIT_NOFILE, (used + 10, old[1]))
    try:
        for _ in range(60):
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            peer.settimeout(0.2)
            peers.append(peer)
            with contextlib.suppress(OSError):
                peer.connect(str(world.place / "s"))
        time.sleep(2.0)
    finally:
        resource.prlimit(world.poprelay.pid, resource.RLIMIT_NOFILE, old)
        for peer in peers:
            peer.close()
    world.settled(seconds=20)


def test_a_storm_of_hangups(world: World) -> None:
    world.begin()
    for _ in range(300):
        os.kill(world.poprelay.pid, signal.SIGHUP)
        time.sleep(0.003)
    world.settled(seconds=15)
    assert world.memory() < 120


def test_a_second_daemon_is_turned_away(world: World) -> None:
    world.begin()
    second = world.poprelay.run("run")
    assert second.exit == 1
    assert "another" in second.err or "already" in second.err
    world.settled()


def test_sockets_are_flooded(world: World) -> None:
    world.begin()
    peers: list[socket.socket] = []
    try:
        for number in range(1500):
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            peer.setblocking(False)
            peers.append(peer)
            with contextlib.suppress(OSError):
                peer.connect(str(world.place / ("s", "p", "d/control")[number % 3]))
                peer.send((b"999:half", os.urandom(2000), b"17:relay 192.0.2.7,")[number % 2 : number % 2 + 1][0] * 5)
        time.sleep(3.0)
        assert world.memory() < 160
    finally:
        for peer in peers:
            peer.close()
    world.settled(seconds=20)


@pytest.fixture
def clock(world: World) -> World:
    """A world whose daemon has a clock that can be set, by libfaketime; the log is stamped by it too."""
    try:
        (library,) = prefix("faketime").glob("usr/lib/*/faketime/libfaketime.so.1")
    except PackagesError as error:
        pytest.skip(str(error))
    world.set_clock(0.0)
    world.grace += 1.5  # the library looks at the file once a second
    world.poprelay.env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(world.clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "Europe/Vienna",
    }
    return world


@pytest.mark.parametrize("hours", [3, -3, 24 * 40], ids=lambda hours: f"{hours:+d}h")
def test_the_clock_is_set(clock: World, hours: int) -> None:
    clock.begin()
    time.sleep(1.0)
    with clock.quiet():
        clock.set_clock(hours * 3600.0)
        time.sleep(1.5)
    time.sleep(2.0)
    clock.settled(seconds=15)
    with clock.quiet():
        clock.set_clock(0.0)
        time.sleep(1.5)
    time.sleep(2.0)
    clock.settled(seconds=15)


@pytest.mark.parametrize("moment", ["2026-12-31T23:59:58", "2027-03-28T00:59:58", "2026-10-25T00:59:58"])
def test_the_year_and_the_hour_change(clock: World, moment: str) -> None:
    """New Year, the hour that is skipped and the hour that comes twice: stamps are of the zone, without a year."""
    at = datetime.fromisoformat(
        f"{moment}+00:00" if moment.startswith("20270") or "-10-" in moment else f"{moment}+01:00"
    )
    clock.traditional = ZoneInfo("Europe/Vienna")
    clock.set_clock(at.timestamp() - time.time())
    clock.begin()
    time.sleep(6.0)
    clock.settled(seconds=15)
