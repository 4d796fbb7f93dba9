"""One table of the config, read key by key; it collects what is wrong, and never raises.

Whoever owns a table asks for the keys that it knows. A value that is wrong or missing is recorded, and a harmless one
of the right type is given instead, so that all mistakes of a file are found in one run. `finish` then reports the keys
that nobody asked for. Asking twice does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, Final

from poprelay.address import Network
from poprelay.config.listen import Listen, parse_listen, path_flaw
from poprelay.config.networks import network_flaw, parse_config_network
from poprelay.config.problem import Problem, nearest, show_path
from poprelay.spans import parse_span, show_span

__all__ = ["REQUIRED", "Listen", "Problem", "Section", "nearest"]

REQUIRED: Final[Any] = object()
"""The default of a key that must be given."""

_FOREVER: Final = 3650 * 86_400.0
_MOST: Final = 2**53
_SHORT: Final = 80
"""Characters of a text that a remedy repeats."""
_NOWHERE: Final = Path("/nonexistent")
_TYPES: Final[dict[type, str]] = {
    str: "text in quotes",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    dict: "a table",
    float: "a number with a point",
    date: "a date",
    time: "a time",
}


class Section:
    """A table at a path; `problems` is shared by all sections of one file."""

    def __init__(self, table: dict[str, Any], keys: tuple[str | int, ...], problems: list[Problem]) -> None:
        self.keys = keys
        self.problems = problems
        self._table = table
        self._asked: dict[str, None] = {}

    @property
    def path(self) -> str:
        """The section as people write it, such as `maps[0]`."""
        return show_path(self.keys)

    @property
    def spec(self) -> dict[str, Any]:
        """The table as it was written."""
        return self._table

    @property
    def asked(self) -> tuple[str, ...]:
        """Every key that was asked for so far: all that is known here, once the section is read."""
        return tuple(self._asked)

    @property
    def sound(self) -> bool:
        """Whether nothing wrong has been found in this section so far."""
        return not any(problem.path[: len(self.keys)] == self.keys for problem in self.problems)

    def given(self, key: str) -> bool:
        """Whether the table has the key."""
        self._asked[key] = None
        return key in self._table

    def refuse(self, key: str, message: str, remedy: str = "", *, number: int | None = None) -> None:
        """Record a mistake at a key ('' is the section itself), or at one element of the list that it holds."""
        path = (*self.keys, key) if key else self.keys
        problem = Problem(path if number is None else (*path, number), message, remedy)
        if problem not in self.problems:
            self.problems.append(problem)

    def text(self, key: str, default: str = REQUIRED) -> str:
        """Text, not empty unless that is the default."""
        value: str = self._get(key, str, default, "")
        if value == "" and key in self._table and default != "" and isinstance(self._table[key], str):
            self.refuse(key, "is empty")
        return value

    def flag(self, key: str, default: bool = REQUIRED) -> bool:
        """true or false."""
        value: bool = self._get(key, bool, default, harmless=False)
        return value

    def integer(self, key: str, default: int = REQUIRED, *, low: int = 0, high: int = _MOST) -> int:
        """A whole number between `low` and `high`."""
        value: int = self._get(key, int, default, low)
        if low <= value <= high:
            return value
        shown = f"{value:_} " if abs(value) < 2**63 else ""
        wanted = f"{low:_} or more" if high == _MOST else f"a number from {low:_} to {high:_}"
        self.refuse(key, f"{shown}is out of range", f"write {wanted}")
        return low

    def duration(self, key: str, default: float = REQUIRED, *, low: float = 1.0, high: float = _FOREVER) -> float:
        """Seconds of a span such as `30m`."""
        like = 'write it like "30s", "30m", "24h" or "7d"'
        text = self._get(key, str, _unless_required(default), None, like)
        if text is None:
            return low if default is REQUIRED else default
        span = parse_span(text)
        if span is None:
            self.refuse(key, f"{text!r} is not a span", like)
            return low
        if not low <= span <= high:
            self.refuse(key, f"{text!r} is out of range", f"write a span from {show_span(low)} to {show_span(high)}")
            return low
        return span

    def choice(self, key: str, among: Sequence[str], default: str = REQUIRED) -> str:
        """One of a few words."""
        value: str = self._get(key, str, default, among[0])
        if value not in among:
            self.refuse(key, f"{value!r} is not known", nearest(value, among))
            return among[0]
        return value

    def texts(self, key: str, default: Sequence[str] = REQUIRED, *, once: bool = False) -> tuple[str, ...]:
        """A list of texts, none empty; not an empty list if it is required. With `once` none may come twice."""
        return tuple(text for _, text in self.numbered(key, default, once=once))

    def numbered(
        self, key: str, default: Sequence[str] = REQUIRED, *, once: bool = False
    ) -> tuple[tuple[int, str], ...]:
        """The same, each with its number in the list, by which `refuse` finds it."""
        given = self._get(key, list, default if default is REQUIRED else list(default), [])
        found: dict[int, str] = {}
        for number, value in enumerate(given):
            if not isinstance(value, str):
                self.refuse(key, f"must be {_TYPES[str]}, not {_said(value)}", number=number)
            elif not value:
                self.refuse(key, "is empty", number=number)
            elif once and value in found.values():
                self.refuse(key, f"{value!r} is there twice", "leave one out", number=number)
            else:
                found[number] = value
        if given == [] and default is REQUIRED and isinstance(self._table.get(key), list):
            self.refuse(key, "is empty", "name at least one")
        return tuple(found.items())

    def one_or_more(self, key: str, *, required: bool = True) -> tuple[tuple[int | None, str], ...]:
        """A text, or a list of texts; each with its number if it is a list."""
        if isinstance(self._table.get(key), list):
            return self.numbered(key, REQUIRED if required else (), once=True)
        text = self.text(key) if self.given(key) or required else ""
        return ((None, text),) if text else ()

    def file(self, key: str, default: Path = REQUIRED) -> Path:
        """An absolute path, without `..`."""
        text = self._get(key, str, _unless_required(default), None)
        if text is None:
            return _NOWHERE if default is REQUIRED else default
        flaw = path_flaw(text)
        if flaw:
            self.refuse(key, f"{text!r} {flaw}", "write the whole path of a file, from / on")
            return _NOWHERE
        return Path("/", text.lstrip("/"))

    def mode(self, key: str, default: int) -> int:
        """The mode of a file, in octal, as text: `"0660"`."""
        like = 'write it in octal and in quotes, like "0660"'
        text = self._get(key, str, None, None, like)
        if text is None:
            return default
        if not (3 <= len(text) <= 5 and all(digit in "01234567" for digit in text) and int(text, 8) <= 0o777):
            self.refuse(key, f"{text!r} is not a file mode", like)
            return default
        return int(text, 8)

    def networks(self, key: str, default: tuple[Network, ...] = (), *, word: str = "") -> tuple[Network, ...]:
        """A list of networks and addresses, none twice; `word` may stand among them and is left out."""
        if not self.given(key):
            return default
        found: dict[Network, None] = {}
        for number, text in self.numbered(key, (), once=True):
            if word and text == word:
                continue
            network = parse_config_network(text)
            if network is None:
                message, remedy = network_flaw(text, word)
                self.refuse(key, message, remedy, number=number)
            elif network in found:
                self.refuse(key, f"{network} is there twice", "leave one out", number=number)
            else:
                found[network] = None
        return tuple(found)

    def listen(self, key: str, default: Listen = REQUIRED) -> Listen:
        """`unix:/path` or `inet:HOST:PORT`."""
        text = self._get(key, str, _unless_required(default), None)
        if text is None:
            return Listen(unix=_NOWHERE) if default is REQUIRED else default
        found = parse_listen(text)
        if found is None:
            self.refuse(
                key,
                f"{text!r} is no place to listen",
                'write "unix:/path", "inet:127.0.0.1:10027" or "inet:[::1]:10027"',
            )
            return Listen(unix=_NOWHERE)
        return found

    def table(self, key: str) -> Section | None:
        """The table of that name, or None if there is none."""
        if not self.given(key):
            return None
        found = self._get(key, dict, None, None, f"write [{key}]")
        if found is None:  # what is no table has been refused, and what it lacks is not told as well
            return Section({}, (*self.keys, key), [])
        return Section(found, (*self.keys, key), self.problems)

    def tables(self, key: str) -> list[Section]:
        """The tables of an array of tables, `[[key]]`."""
        found: list[Section] = []
        for number, table in enumerate(self._get(key, list, [], [], f"write [[{key}]]")):
            if isinstance(table, dict):
                found.append(Section(table, (*self.keys, key, number), self.problems))
            else:
                self.refuse(key, f"must be a table, not {_said(table)}", f"write [[{key}]]", number=number)
        return found

    def finish(self) -> None:
        """Report every key that nobody has asked for."""
        for key in self._table:
            if key not in self._asked:
                self.refuse(key, "is not known here", nearest(key, self.asked))

    def _get(self, key: str, kind: type, default: Any, harmless: Any, remedy: str = "") -> Any:
        if not self.given(key):
            if default is REQUIRED:
                self.refuse("", f"{key} is missing", remedy or f"it must be given, as {_TYPES[kind]}")
                return harmless
            return default
        value = self._table[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            if kind is list and isinstance(value, str) and not remedy and len(value) <= _SHORT:
                remedy = f"write {key} = [{json.dumps(value, ensure_ascii=False)}]"
            self.refuse(key, f"must be {_TYPES[kind]}, not {_said(value)}", remedy)
            return harmless if default is REQUIRED else default
        return value


def _unless_required(default: Any) -> Any:
    return REQUIRED if default is REQUIRED else None


def _said(value: object) -> str:
    return next((name for kind, name in _TYPES.items() if isinstance(value, kind)), type(value).__name__)
