from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

import pytest

from poprelay.agents.base import Agent
from poprelay.model import Event
from poprelay.scan import Scanner

NOW = 1796000000.0  # 2026-11-29

Scan = Callable[[Sequence[Agent], Sequence[str]], list[Event]]


@pytest.fixture(scope="session")
def scan() -> Scan:
    """What these agents see in these lines, a log of their own."""
    kept: dict[tuple[int, ...], tuple[Sequence[Agent], Scanner, bytes]] = {}

    def scanned(agents: Sequence[Agent], lines: Sequence[str]) -> list[Event]:
        same = tuple(map(id, agents))
        if same not in kept:
            made = Scanner(agents, source="log", zone=ZoneInfo("UTC"))
            kept[same] = list(agents), made, made.state()
        _, scanner, at_first = kept[same]
        scanner.restore(at_first)
        block = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        return scanner.scan(block, now=NOW, horizon=NOW).events

    return scanned
