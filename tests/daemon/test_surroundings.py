"""Looking around."""

from __future__ import annotations

import asyncio
import threading
from ipaddress import ip_network

import pytest

from poprelay.daemon import surroundings
from poprelay.daemon.surroundings import Lookout
from poprelay.ledger.rules import Surroundings

TRUSTED = Surroundings(mta=(ip_network("192.0.2.0/24"),))


async def test_a_look_that_began_before_a_reload_never_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def look_around(*, ask_mta: bool) -> tuple[Surroundings, tuple[str, ...]]:
        if ask_mta:
            return TRUSTED, ()
        is_over.wait(5)
        return Surroundings(), ()

    monkeypatch.setattr(surroundings, "look_around", look_around)
    lookout = Lookout(ask_mta=False)
    seen: list[Surroundings] = []

    async def take_over() -> None:
        seen.append(await lookout.look())

    early = asyncio.create_task(take_over())
    await asyncio.sleep(0.01)
    lookout.ask_mta = True
    late = asyncio.create_task(take_over())
    await asyncio.sleep(0.05)
    is_over.set()
    await asyncio.gather(early, late)
    assert seen == [Surroundings(), TRUSTED]
