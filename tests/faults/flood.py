"""Floods of logins: more addresses than there may be grants, one address of a great many users, names without end."""

from __future__ import annotations

import time
from typing import Final

from faults.truth import PERIOD, Login
from faults.world import MOST, World
from live.running import until
from poprelay.model import LONGEST_NAME

ADDRESSES: Final = MOST + 12_000
USERS: Final = 20_000
BLOCK: Final = 1000
SOME: Final = 100
"""Of whom it is seen that they stay, before a flood and in it."""

FLOODED: Final = 240.0
"""MiB that the daemon may take with all its grants, while it takes in a flood."""


def addresses(world: World, count: int = ADDRESSES) -> None:
    """So many different ones log in as fast as they can be written. Beyond `max_grants` they are refused, nobody is
    evicted, and those who are there stay as long as they should."""
    world.memory = FLOODED
    with world.quiet():
        stay = [login.address for login in at_once(world, SOME)]
        until(lambda: not world.unseen(stay), step=0.1, what="those before the flood are there")
        world.truth.full = True
        filling = MOST // BLOCK
        for _ in range(filling):
            at_once(world, BLOCK)
        until(lambda: _is_full(world), seconds=30, step=0.1, what="as many grants as there may be")
        there = [address for address, _ in world.poprelay.allowed()]
        assert len(there) >= SOME, f"only {len(there)} are there just after it was full"
        for address in world.chance.sample(there, SOME):
            world.truth.logins[address].must = True
            stay.append(address)
        _stays(world, stay)
        world.judge()
        for _ in range(count // BLOCK - filling):
            at_once(world, BLOCK)
        until(world.has_read, seconds=30 + count / 1000, step=0.5)
        _stays(world, stay)
        world.judge()
    time.sleep(PERIOD + 1.0)  # who comes meanwhile may be refused too
    world.truth.full = False


def _is_full(world: World) -> bool:
    """Whether nobody more gets a grant; the flood goes on, for it is full only as long as a period."""
    at_once(world, BLOCK)
    return bool(world.status()["grants"] >= MOST)


def _stays(world: World, addresses: list[str]) -> None:
    """Of these, everybody does whose period still runs."""
    gone = world.truth.due(world.unseen(world.truth.due(addresses)))
    assert not gone, f"evicted: {sorted(gone)[:20]}"


def at_once(world: World, count: int, *, ipv6: bool = False) -> list[Login]:
    """So many addresses log in at one moment."""
    logins = [world.truth.log_in(ipv6=ipv6) for _ in range(count)]
    at = world.stamp()
    world.write("".join(_line(at, f"u{login.address}", login.address) for login in logins))
    return logins


def users_of_one_address(world: World, count: int = USERS) -> None:
    """It is no client but a gateway: all its grants are closed, and it is refused until they are fewer."""
    with world.quiet():
        login = world.truth.log_in()
        login.must = False
        for block in range(count // BLOCK):
            at = world.stamp()
            world.write("".join(_line(at, f"u{block}-{number}", login.address) for number in range(BLOCK)))
            if not block:  # when all are read, the first may be too old to count
                world.told()
        until(world.has_read, seconds=30 + count / 1000, step=0.5)
        world.truth.close([login.address])
    time.sleep(2.0)


def names_without_end(world: World, count: int = 500) -> None:
    """All different, some as long as a line may be: refused where syslog might not have cut them, and not seen else."""
    with world.quiet():
        for number in range(count):
            address = f"9.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
            length = world.chance.choice((LONGEST_NAME, 500, 5_000, 64_000))
            world.write(_line(world.stamp(), f"{number}" + "n" * length, address))


def _line(at: str, user: str, address: str) -> str:
    return f"{at} mx dovecot: imap-login: Login: user=<{user}>, method=PLAIN, rip={address}, lip=9.9.9.9, mpid=7\n"
