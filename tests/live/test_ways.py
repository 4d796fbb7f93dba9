"""The tables in docs/mta say what the real servers do."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from live.clients import LOCAL
from live.network import ANN4, BOB4, Network
from live.running import until
from live.told import Told
from live.ways import WAYS

DOCS: Final = Path(__file__).parents[2] / "docs/mta"
COLUMNS: Final = (
    "way", "reload", "grant in an open session", "revoke in an open session",
    "down: with a grant", "down: without", "down: local mail",
)  # fmt: skip


def table(page: str) -> dict[str, dict[str, str]]:
    """What a page says of each way."""
    text = (DOCS / f"{page}.md").read_text().partition("\n## Every way\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert tuple(head) == COLUMNS, page
    return {row[0].strip("`"): dict(zip(head, row, strict=True)) for row in rows}


def test_every_page_has_its_ways_and_is_in_the_list() -> None:
    pages = {path.stem for path in DOCS.glob("*.md")} - {"README"}
    assert {page: list(table(page)) for page in pages} == {page: list(ways) for page, ways in WAYS.items()}
    assert [page for page in pages if f"]({page}.md)" not in (DOCS / "README.md").read_text()] == []


@pytest.mark.parametrize(("page", "way"), [(page, way) for page, ways in WAYS.items() for way in ways])
def test_a_way_does_what_its_page_says(page: str, way: str, place: Path, network: Network, stopping: ExitStack) -> None:
    told = WAYS[page][way](place, network, stopping)
    section = told.fed.poprelay.config.read_text()
    seen = {
        "way": f"`{way}`",
        "reload": "no" if "\ncommand = " not in section and "\nroot = " not in section else "yes",
        **_in_open_sessions(told, stopping),
        **_while_down(told),
    }
    assert seen == table(page)[way]


def _in_open_sessions(told: Told, stopping: ExitStack) -> dict[str, str]:
    before = stopping.enter_context(told.session(ANN4))
    assert before.ask().code == told.refuses
    _allow(told, ANN4)
    grant = "seen" if before.ask().code == 250 else "not seen"
    during = stopping.enter_context(told.session(ANN4))
    assert during.ask().code == 250
    told.fed.revoke(ANN4)
    until(lambda: told.code(ANN4) == told.refuses)
    revoke = "not seen" if during.ask().code == 250 else "seen"
    return {"grant in an open session": grant, "revoke in an open session": revoke}


def _while_down(told: Told) -> dict[str, str]:
    _allow(told, ANN4)
    told.fed.poprelay.kill()
    return {
        "down: with a grant": str(told.code(ANN4)),
        "down: without": str(told.code(BOB4)),
        "down: local mail": str(told.code(BOB4, LOCAL)),
    }


def _allow(told: Told, address: str) -> None:
    allowed = told.fed.poprelay.run("allow", address, "--for", "5m")
    assert allowed.exit == 0, allowed
    until(lambda: told.code(address) == 250)
