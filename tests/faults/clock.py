"""Faults of the clock: it is set, forwards and back; the hour and the year change."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from faults.world import World

HOUR: Final = 3600.0


def _set(world: World, offset: float) -> None:
    """Lines from before are told from those after by a pause: a real host's are too, or nobody could."""
    with world.quiet():
        world.set_clock(offset)
        time.sleep(1.5)
    time.sleep(1.5)
    world.settled()


def forwards(world: World) -> None:
    _set(world, world.offset + 3 * HOUR)


def back(world: World) -> None:
    _set(world, world.offset - 3 * HOUR)


def by_weeks(world: World) -> None:
    _set(world, world.offset + 40 * 24 * HOUR)
    _set(world, world.offset - 40 * 24 * HOUR)


def back_and_forth(world: World) -> None:
    """Again and again, by hours and by seconds."""
    start = world.offset
    for step in (HOUR, -HOUR, 7.0, -7.0, -5 * HOUR, 5 * HOUR):
        with world.quiet():
            world.set_clock(start + step)
        time.sleep(0.7)
    _set(world, start)


def new_year(world: World) -> None:
    _passes(world, "2026-12-31T22:59:57+00:00")


def summer_begins(world: World) -> None:
    """An hour is left out."""
    _passes(world, "2027-03-28T00:59:57+00:00")


def summer_ends(world: World) -> None:
    """An hour comes twice."""
    _passes(world, "2026-10-25T00:59:57+00:00")


def _passes(world: World, moment: str) -> None:
    """Three seconds before it until some after; stamps are Vienna's, without a year or a zone."""
    former, world.traditional = world.offset, ZoneInfo("Europe/Vienna")
    world.poprelay.env["TZ"] = "Europe/Vienna"
    with world.quiet():
        world.stop()
        world.set_clock(datetime.fromisoformat(moment).timestamp() - time.time())
        time.sleep(1.0)
        world.start()
    time.sleep(5.0)
    world.settled()
    with world.quiet():
        world.stop()
        world.traditional, world.poprelay.env["TZ"] = None, "UTC"
        world.set_clock(former)
        time.sleep(1.0)
        world.start()
