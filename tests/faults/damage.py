"""Faults of files: what poprelay keeps is damaged, cut short or lost, while it runs and while it does not."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Literal

from faults.world import World
from live.running import until


def _flipped(world: World, file: Path, *, bits: int) -> bytes:
    raw = bytearray(file.read_bytes())
    for _ in range(bits):
        raw[world.chance.randrange(len(raw))] ^= 1 << world.chance.randrange(8)
    return bytes(raw)


def _restarted_after(world: World, *, lost: bool) -> None:
    """Start again on a damaged ledger. `lost`: it is known to be set aside, so that nobody comes back by it."""
    if lost:
        world.truth.close()
    else:
        world.truth.excuse()
    world.start()
    if lost:
        world.told()
        time.sleep(0.5)
        world.stop()  # what `status` says of it lasts until the next start
        world.start()


def ledger_noise(world: World) -> None:
    with world.quiet():
        world.stop()
        world.poprelay.ledger.write_bytes(world.chance.randbytes(20_000))
        _restarted_after(world, lost=True)


def ledger_cut(world: World) -> None:
    with world.quiet():
        world.stop()
        os.truncate(world.poprelay.ledger, world.poprelay.ledger.stat().st_size // 2)
        _restarted_after(world, lost=True)


def ledger_gone(world: World) -> None:
    """The file alone; what lies beside it tells that there was one."""
    with world.quiet():
        world.kill()
        world.poprelay.ledger.unlink()
        _restarted_after(world, lost=True)


def ledger_bits(world: World) -> None:
    """A few flipped bits, anywhere: the ledger is set aside, or what they hit decides nothing."""
    for _ in range(3):
        with world.quiet():
            world.stop()
            raw = _flipped(world, world.poprelay.ledger, bits=world.chance.choice((1, 3, 100)))
            world.poprelay.ledger.write_bytes(raw)
            _restarted_after(world, lost=False)
            world.truth.excuse()
        time.sleep(1.0)
    _restart_until_well(world)


def ledger_bits_while_it_runs(world: World) -> None:
    """Whoever writes to its file: it is noticed when it is read, at the latest at the next start."""
    with world.quiet():
        with world.poprelay.ledger.open("r+b") as file:
            size = world.poprelay.ledger.stat().st_size
            for _ in range(200):
                file.seek(world.chance.randrange(size))
                file.write(world.chance.randbytes(1))
        world.truth.excuse()
        world.kill()
        world.start()
        world.truth.excuse()
    _restart_until_well(world)


def ledger_without_its_log(world: World) -> None:
    """The write-ahead log is lost after a kill, and with it that somebody was revoked: what is left is whole, but
    older, and would let him in again."""
    with world.quiet():
        reason = _revoked_and_killed(world)
        while reason in world.poprelay.ledger.read_bytes():  # just now all was written back, so nothing would be lost
            world.start()
            reason = _revoked_and_killed(world)
        for suffix in ("-wal", "-shm"):
            Path(f"{world.poprelay.ledger}{suffix}").unlink(missing_ok=True)
        _restarted_after(world, lost=True)


def _revoked_and_killed(world: World) -> bytes:
    """Somebody is revoked, for the reason that is returned, and the daemon is killed."""
    somebody = [world.log_in().address]
    until(lambda: not world.unseen(somebody), step=0.05)
    world.truth.excuse(somebody)
    reason = f"number {world.chance.randrange(10**9)}"
    assert world.poprelay.run("revoke", "--address", *somebody, "--reason", reason).exit == 0
    world.truth.close(somebody)
    world.kill()
    return reason.encode()


def _restart_until_well(world: World) -> None:
    """After a kill the whole file is read, also what was hit and decides nothing; or a later kill would bring it to
    light. The start after that sets aside what was found broken, and the next does not speak of it any more."""
    with world.quiet():
        world.kill()
        world.start()
        until(lambda: _has_read_whole(world), seconds=20, step=0.1, what="the whole ledger is read")
        for _ in range(2):
            world.stop()
            world.start()
        world.truth.excuse()


def _has_read_whole(world: World) -> bool:
    if any("damaged" in problem for problem in world.status()["problems"]):
        return True
    with contextlib.closing(sqlite3.connect(f"file:{world.poprelay.ledger}?mode=ro", uri=True)) as ledger:
        (unchecked,) = ledger.execute("SELECT value FROM meta WHERE key = 'unchecked'").fetchone()
    return bool(unchecked == 0)


def map_gone(world: World) -> None:
    """Removed while it runs: made again."""
    world.map.unlink()
    until(world.map.exists)


def map_replaced(world: World) -> None:
    """Another file under its name, by somebody's `postmap`: made right again."""
    other = world.map.with_name("other.lmdb")
    other.write_bytes(world.map.read_bytes())
    other.rename(world.map)


def map_cut_while_it_runs(world: World) -> None:
    """Cut short under our eyes: it does not die of that, and says what to do."""
    os.truncate(world.map, 5000)
    world.told()
    _moved_away(world)


def map_noise_while_it_runs(world: World) -> None:
    """Emptied and filled, as by `cp`."""
    _damaged_while_up(world, "wb", world.chance.randbytes(world.map.stat().st_size))
    world.told()
    _moved_away(world)


def map_bits_while_it_runs(world: World) -> None:
    """Single flipped bits, in place."""
    _damaged_while_up(world, "r+b", _flipped(world, world.map, bits=world.chance.choice((1, 3, 100))))
    _moved_away(world)


def map_gone_while_down(world: World) -> None:
    """Made anew at the start."""
    world.kill()
    world.map.unlink()
    world.start()


def map_replaced_while_down(world: World) -> None:
    """By what it was a while ago, as from a backup: made right again at the start."""
    world.stop()
    older = world.map.read_bytes()
    world.start()
    time.sleep(1.0)
    world.kill()
    other = world.map.with_name("other.lmdb")
    other.write_bytes(older)
    other.rename(world.map)
    world.start()


def map_noise(world: World) -> None:
    _damaged_while_down(world, world.chance.randbytes(20_000))
    world.told()
    _moved_away(world)


def map_cut(world: World) -> None:
    world.kill()
    _damaged_while_down(world, world.map.read_bytes()[:5000])
    world.told()
    _moved_away(world)


def map_bits(world: World) -> None:
    """Single flipped bits, of which LMDB has no checksum: it is compared with the ledger, or made anew by hand."""
    _damaged_while_down(world, _flipped(world, world.map, bits=1))
    time.sleep(1.0)
    _moved_away(world)


def _damaged_while_up(world: World, mode: Literal["wb", "r+b"], content: bytes) -> None:
    """Whether it dies of that is LMDB's affair; it is started again then, as systemd does."""
    world.map_probe.muzzled.set()
    world.truth.up = None
    with world.map.open(mode) as file:
        file.write(content)
    time.sleep(2.0)
    if world.poprelay.ended():
        world.start(with_map=False)
    world.truth.up = time.monotonic()


def _damaged_while_down(world: World, content: bytes) -> None:
    if world.poprelay.running:
        world.kill()
    world.map.write_bytes(content)
    world.start(with_map=False)


def _moved_away(world: World) -> None:
    """What the sentence in `status` says; a new one is made."""
    world.map.rename(world.map.with_suffix(".aside"))
    until(world.map.exists, seconds=40)
    time.sleep(1.0)
    world.map_probe.muzzled.clear()
