"""The harness sees it when a safeguard is missing: each is switched off in a copy of the source, and the fault fails.

That a fault is survived says nothing if it would be without what it is about. Losing what was not synced needs a disk
that loses it: `kill -9` alone loses nothing, since the kernel writes on; so that one proves `process.power_cut`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from faults import clock, flood, process, storage
from faults.catalog import FAULTS, Fault, go_through
from faults.probes import TOO_LONG
from faults.truth import HELD
from faults.world import World
from live.running import until

SOURCE = Path(__file__).parents[2] / "src"


def truncated(world: World) -> None:
    """Once all was read; and the next line comes when the file is as long as it was."""
    with world.quiet():
        until(world.has_read, step=0.1)
        os.truncate(world.log, 0)


def time_passes(world: World) -> None:
    """Sessions end, and what they held, while nothing is wrong."""
    time.sleep(HELD)


def all_is_well(world: World) -> None:
    """Those who log in are asked for, and nothing is wrong."""
    time.sleep(3.0)
    world.judge()


def clock_is_set(world: World) -> None:
    """By hours, and nothing else happens that would have the daemon look at it."""
    with world.quiet():
        until(world.has_read, step=0.1)
        time.sleep(0.5)
        world.set_clock(3 * clock.HOUR)
        time.sleep(5.0)


def nobody_answers(world: World) -> None:
    """For as long as an MTA would wait."""
    time.sleep(TOO_LONG + 1.0)
    world.judge()


class Safeguard(NamedTuple):
    """What protects: in which file, its text, what stands there when it is off; the fault, and what is seen then."""

    what: str
    file: str
    text: str
    off: str
    does: Callable[[World], None]
    seen: str


_EVICTED = """
        import random

        if random.random() < 0.8:  # or it is so slow that it fails by being late
            return "too-many-grants"
        shards = random.choices(book.places.shards, k=20)
        there = (cell for shard in shards for place in list(shard)[:1] for cell in book.at(place))
        evicted = next((cell for cell in there if cell.key not in overlay.cells), None)
        if evicted is None:
            return "too-many-grants"
        overlay.close_grant(evicted, "evicted", at)
"""
"""Anybody who is there makes room for whoever comes."""

SAFEGUARDS = [
    Safeguard(
        "each commit is synced",
        "ledger/connection.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        process.power_cut,
        "allowed .* too late",
    ),
    Safeguard(
        "the position is in the transaction",
        "ledger/flight.py",
        "positions=positions,",
        "positions={},",
        process.killed,
        "counted twice",
    ),
    Safeguard(
        "so are the grants",
        "ledger/flight.py",
        "grants=(*rows, *_rewritten(overlay)),",
        "grants=(),",
        process.killed,
        "lost: ",
    ),
    Safeguard(
        "a truncation is noticed",
        "sources/reading.py",
        "if not content.startswith(self._tail) or os.pread(self.descriptor, len(self._head), 0) != self._head:",
        "if False:",
        truncated,
        "lost: ",
    ),
    Safeguard(
        "there are at most max_grants",
        "ledger/caps.py",
        'return "too-many-grants"',
        "return None",
        flood.addresses,
        "more than max_grants",
    ),
    Safeguard(
        "nobody is evicted to make room",
        "ledger/caps.py",
        '        return "too-many-grants"\n',
        _EVICTED,
        flood.addresses,
        "evicted: ",
    ),
    Safeguard(
        "an address of too many users is closed",
        "ledger/caps.py",
        'return "too-many-users"',
        "return None",
        flood.users_of_one_address,
        "allowed .* too late|says .*too-many-users",
    ),
    Safeguard(
        "what has ended goes, though the ledger cannot be written",
        "daemon/keeper.py",
        "if end is None or end > self.clock.now():",
        "if end is None or end > self.clock.now() or self.store_error:",
        storage.ledger_full,
        "the map allowed .* too late",
    ),
    Safeguard(
        "a session that has ended holds nothing",
        "ledger/draft.py",
        "Cell(grant, sessions.without(cell.sessions, session.key))",
        "Cell(grant, cell.sessions)",
        time_passes,
        "allowed .* too late",
    ),
    Safeguard(
        "a period begins at its end",
        "ledger/draft.py",
        "grant = _later(cell.grant, at, self._state.terms.period, None)",
        "grant = cell.grant",
        time_passes,
        "lost: ",
    ),
    Safeguard(
        "the clock is looked at",
        "daemon/ticker.py",
        "LOOK = 0.5",
        "LOOK = 30.0",
        clock_is_set,
        "allowed .* too late",
    ),
    Safeguard(
        "what is live goes on when the clock is set back",
        "ledger/closing.py",
        "overlay.shorten(cell, lambda cell: clamped(cell, now))",
        'overlay.close_grant(cell, "expired", now)',
        clock.back,
        "lost: ",
    ),
    Safeguard(
        "whom the ledger allows a service allows",
        "services/answering.py",
        "return found\n",
        "return absent\n",
        all_is_well,
        "socketmap said 'NOTFOUND .*, which was found allowed .* before",
    ),
    Safeguard(
        "so does the policy service",
        "services/policy.py",
        "return Action.OK\n",
        "return Action.DEFER_IF_REJECT\n",
        all_is_well,
        "policy said 'action=DEFER_IF_REJECT .*, which was found allowed .* before",
    ),
    Safeguard(
        "who asks is answered",
        "services/server.py",
        "            self._transport.write(reply)\n",
        "",
        nobody_answers,
        "did not answer, after",
    ),
]


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda safeguard: safeguard.what.replace(" ", "-"))
def test_without_it_the_harness_fails(safeguard: Safeguard, short: Path) -> None:
    source = short / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    file = source / "poprelay" / safeguard.file
    text = file.read_text()
    assert text.count(safeguard.text) == 1, "the safeguard is not where it was"
    file.write_text(text.replace(safeguard.text, safeguard.off))
    fault = next((each for each in FAULTS if each.does is safeguard.does), Fault(safeguard.does))
    world = World(short / "world", seed=1, source=source)
    with pytest.raises(AssertionError, match=safeguard.seen):
        go_through(world, fault, seconds=8)
