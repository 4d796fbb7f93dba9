"""One table of the config, read key by key; it collects what is wrong, and never raises.

Whoever owns a table asks for the keys that it knows. A value that is wrong or missing is recorded, and a harmless one
of the right type is given instead, so that all mistakes of a file are found in one run. `finish` then reports the keys
that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from poprelay.address import Network, parse_network
from poprelay.config.listen import Listen
from poprelay.spans import parse_span, show_span

__all__ = ["REQUIRED", "Listen", "Problem", "Section"]

T = TypeVar("T")

REQUIRED: Final[Any] = object()
"""The default of a key that must be given."""
FOREVER: Final = 3650 * 86400.0
_TYPES: Final = {str: "text in quotes", bool: "true or false", int: "a whole number", list: "a list", dict: "a table"}


class Problem(NamedTuple):
    """One mistake: where (the path of keys), what is wrong, and what to write instead."""

    path: tuple[str | int, ...]
    message: str
    remedy: str = ""


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

    def given(self, key: str) -> bool:
        """Whether the table has the key."""
        self._asked[key] = None
        return key in self._table

    def refuse(self, key: str, message: str, remedy: str = "") -> None:
        """Record a mistake at a key ('' is the section itself)."""
        self.problems.append(Problem((*self.keys, key) if key else self.keys, message, remedy))

    def text(self, key: str, default: str = REQUIRED) -> str:
        """Text, not empty unless that is the default."""
        value: str = self._get(key, str, default, "")
        if value == "" and key in self._table and default != "":
            self.refuse(key, "is empty")
        return value

    def flag(self, key: str, default: bool = REQUIRED) -> bool:
        """true or false."""
        value: bool = self._get(key, bool, default, harmless=False)
        return value

    def integer(self, key: str, default: int = REQUIRED, *, low: int = 0, high: int = 2**53) -> int:
        """A whole number between `low` and `high`."""
        value: int = self._get(key, int, default, low)
        if not low <= value <= high:
            self.refuse(key, f"{value} is out of range", f"write a number from {low:,} to {high:,}".replace(",", "_"))
            return low
        return value

    def duration(self, key: str, default: float = REQUIRED, *, low: float = 1.0, high: float = FOREVER) -> float:
        """Seconds of a span such as `30m`."""
        text = self._get(key, str, default if default is REQUIRED else None, None)
        if text is None:
            return low if default is REQUIRED else default
        span = parse_span(text)
        if span is None:
            self.refuse(key, f"{text!r} is not a span", 'write it like "30s", "30m", "24h" or "7d"')
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

    def texts(self, key: str, default: Sequence[str] = REQUIRED) -> tuple[str, ...]:
        """A list of texts, none empty, none twice; not empty if it is required."""
        given = self._get(key, list, default if default is REQUIRED else list(default), [])
        found: list[str] = []
        for number, value in enumerate(given):
            if not isinstance(value, str) or not value:
                self.problems.append(Problem((*self.keys, key, number), "must be text in quotes, not empty"))
            elif value in found and key != "command":
                self.problems.append(Problem((*self.keys, key, number), f"{value!r} is there twice"))
            else:
                found.append(value)
        if not given and key in self._table and default is REQUIRED:
            self.refuse(key, "is empty", "name at least one")
        return tuple(found)

    def file(self, key: str, default: Path = REQUIRED) -> Path:
        """An absolute path."""
        text = self._get(key, str, default if default is REQUIRED else None, None)
        if text is None:
            return Path("/nonexistent") if default is REQUIRED else default
        if not text.startswith("/") or "\0" in text:
            self.refuse(key, f"{text!r} is not an absolute path", "begin it with /")
            return Path("/nonexistent")
        return Path(text)

    def mode(self, key: str, default: int) -> int:
        """The mode of a file, in octal, as text: `"0660"`."""
        text = self._get(key, str, None, None)
        if text is None:
            return default
        if not (text and len(text) <= 5 and all(digit in "01234567" for digit in text) and int(text, 8) <= 0o777):
            self.refuse(key, f"{text!r} is not a file mode", 'write it in octal, like "0660"')
            return default
        return int(text, 8)

    def networks(self, key: str, default: tuple[Network, ...] = ()) -> tuple[Network, ...]:
        """A list of networks and addresses."""
        if key not in self._table:
            self._asked[key] = None
            return default
        return tuple(found for number, text in enumerate(self.texts(key)) if (found := self.network(key, number, text)))

    def listen(self, key: str, default: Listen = REQUIRED) -> Listen:
        """`unix:/path` or `inet:HOST:PORT`."""
        text = self._get(key, str, default if default is REQUIRED else None, None)
        if text is None:
            return Listen(unix=Path("/nonexistent")) if default is REQUIRED else default
        found = _listen(text)
        if found is None:
            self.refuse(
                key,
                f"{text!r} is no place to listen",
                'write "unix:/path", "inet:127.0.0.1:10027" or "inet:[::1]:10027"',
            )
            return Listen(unix=Path("/nonexistent"))
        return found

    def table(self, key: str) -> Section | None:
        """The table of that name, or None if there is none."""
        if key not in self._table:
            self._asked[key] = None
            return None
        return Section(self._get(key, dict, REQUIRED, {}), (*self.keys, key), self.problems)

    def tables(self, key: str) -> list[Section]:
        """The tables of an array of tables, `[[key]]`."""
        found: list[Section] = []
        for number, table in enumerate(self._get(key, list, [], [])):
            where = (*self.keys, key, number)
            if isinstance(table, dict):
                found.append(Section(table, where, self.problems))
            else:
                self.problems.append(Problem(where, "must be a table", f"write it as [[{key}]]"))
        return found

    def finish(self) -> None:
        """Report every key that nobody has asked for."""
        for key in self._table:
            if key not in self._asked:
                self.refuse(key, "is not known here", nearest(key, tuple(self._asked)))

    def _get(self, key: str, kind: type[T], default: Any, harmless: Any) -> Any:
        self._asked[key] = None
        if key not in self._table:
            if default is REQUIRED:
                self.refuse("", f"{key} is missing", f"{key} must be given here, as {_TYPES[kind]}")
                return harmless
            return default
        value = self._table[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.refuse(key, f"must be {_TYPES[kind]}, not {_said(value)}")
            return harmless if default is REQUIRED else default
        return value

    def network(self, key: str, number: int, text: str) -> Network | None:
        try:
            return parse_network(text)
        except ValueError as error:
            message = f"{text!r} is not a network: {error}"
            self.problems.append(Problem((*self.keys, key, number), message, 'write it like "192.0.2.0/24"'))
            return None


def show_path(keys: Sequence[str | int]) -> str:
    """A path of keys as people write it.

    >>> show_path(("sources", 0, "path"))
    'sources[0].path'
    """
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def nearest(word: str, among: Sequence[str]) -> str:
    """A remedy that names the nearest known word, or all of them."""
    near = get_close_matches(word, among, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(among))}"


def _listen(text: str) -> Listen | None:
    kind, _, where = text.partition(":")
    if kind == "unix":
        return Listen(unix=Path(where)) if where.startswith("/") and "\0" not in where else None
    host, _, port = where.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (
        kind != "inet"
        or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
        or (":" in bare) != (bare != host)
    ):
        return None
    try:
        return Listen(host=str(ip_address(bare)), port=int(port))
    except ValueError:
        return None


def _said(value: object) -> str:
    for kind, name in _TYPES.items():
        if isinstance(value, kind):
            return name
    return type(value).__name__
