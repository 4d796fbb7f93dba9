"""What a benchmark found: printed at once, kept below `.cache/benchmarks`, and made into a page by `run.py`.

A benchmark is one topic; what it measures are rows, each with one value for each round and, where there is one, a
target. A row that could not be measured says why. A target that is missed is no error: the machine may be slow or busy.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

KEPT: Final = Path(__file__).parents[1] / ".cache" / "benchmarks"
"""Where the last results lie, one file for each topic."""

_HEADINGS: Final = ("", "median", "spread", "wanted", "")


def quick() -> bool:
    """Whether the run is to take a few minutes only: fewer rounds, smaller logs."""
    return os.environ.get("QUICK", "") not in {"", "0"}


class Row(msgspec.Struct, omit_defaults=True):
    """One thing that was measured, or the reason why it was not."""

    what: str
    values: list[float] = []
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    failure: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def verdict(self) -> str:
        """Whether the target was kept; nothing where there is none."""
        if self.failure:
            return f"not measured: {self.failure}"
        if self.at_most is None and self.at_least is None:
            return ""
        kept = self.median <= self.at_most if self.at_most is not None else self.median >= (self.at_least or 0)
        return "kept" if kept else "**missed**"

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        if self.failure:
            return (self.what, "", "", "", self.verdict())
        unit = f" {self.unit}" if self.unit else ""
        spread = f"{shown(min(self.values))} to {shown(max(self.values))}" if len(self.values) > 1 else ""
        wanted = ""
        if self.at_most is not None:
            wanted = f"at most {shown(self.at_most)}{unit}"
        elif self.at_least is not None:
            wanted = f"at least {shown(self.at_least)}{unit}"
        return (self.what, f"{shown(self.median)}{unit}", spread, wanted, self.verdict())


class Topic(msgspec.Struct):
    """One table, with a sentence or two before it and what else must be said behind it."""

    name: str
    title: str
    about: str
    rows: list[Row] = []
    notes: list[str] = []
    load: float = 0.0
    """How many processes wanted to run in the last minute, when the benchmark ended."""
    quick: bool = False

    def add(
        self,
        what: str,
        values: float | Sequence[float],
        unit: str = "",
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Keep what was measured, in one round or more, and print it."""
        found = [float(value) for value in values] if isinstance(values, Sequence) else [float(values)]
        self._add(Row(what, found, unit, at_most, at_least))

    def fail(self, what: str, why: object) -> None:
        """Say that something could not be measured."""
        self._add(Row(what, failure=" ".join(str(why).split())[:300]))

    def say(self, note: str) -> None:
        """Keep a sentence for behind the table, and print it."""
        self.notes.append(note)
        print(note, flush=True)

    def keep(self) -> None:
        """Store the results for the page."""
        self.load, self.quick = os.getloadavg()[0], quick()
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / f"{self.name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(self)))

    def markdown(self) -> str:
        """The section of the page."""
        lines = [f"## {self.title}", "", self.about, ""]
        if self.rows:
            lines += [f"| {' | '.join(_HEADINGS)} |", f"|{'---|' * len(_HEADINGS)}"]
            lines += [f"| {' | '.join(row.cells())} |" for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        what, median, spread, wanted, verdict = row.cells()
        print(f"{what:<52} {median:>16}  {spread:<20} {wanted:<24} {verdict}".rstrip(), flush=True)


def stored(name: str) -> Topic | None:
    """The last results of a topic, if there are any."""
    file = KEPT / f"{name}.json"
    return msgspec.json.decode(file.read_bytes(), type=Topic) if file.exists() else None


def shown(value: float) -> str:
    """A number as a person reads it: three digits that say something.

    >>> shown(51234.6), shown(9.8765), shown(0.01234), shown(0)
    ('51,235', '9.88', '0.0123', '0')
    """
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
