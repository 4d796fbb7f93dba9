"""How one log event is written: as a line for people, or as one JSON object.

An event's own fields may not be called `at`, `level` or `event`. Whatever they hold, a line stays one line (a traceback
has more, each of which begins with four blanks), and no field looks like two.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, MutableMapping
from typing import Any, Final, TypeAlias

from poprelay.clock import Clock
from poprelay.errors import ConfigError, PoprelayError
from poprelay.escape import as_json, show
from poprelay.spans import rfc3339

LONGEST: Final = 1000
"""Characters of one text that are written."""

PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""How grave each level is to syslog(3) and to the journal."""

_INSTANTS: Final = frozenset({"until", "opened", "last_login"})
_JOINTS: Final = re.compile(r'[ "=\[\],]')
_CLOCK: Final = Clock()

Event: TypeAlias = MutableMapping[str, Any]
Render: TypeAlias = Callable[[object, str, Event], str]
"""The last step: an event becomes text (a processor of structlog)."""


class Json:
    """One object on one line: `at` (RFC 3339), `level`, `event`, then the fields; ASCII, surrogates as `\\udcXX`."""

    def __call__(self, _logger: object, _method: str, event: Event) -> str:
        said = {"at": _now(), "level": event.pop("level"), "event": event.pop("event"), **event}
        return as_json(said, default=str)


class Text:
    """One line for people: when (if `stamped`), how grave, what, and the fields as `key=value`."""

    def __init__(self, *, stamped: bool) -> None:
        self._stamped = stamped

    def __call__(self, _logger: object, _method: str, event: Event) -> str:
        level, what, exception = event.pop("level"), event.pop("event"), event.pop("exception", "")
        words = [_now()] if self._stamped else []
        words += [f"{level}:", show(str(what)), *(f"{show(key)}={spelled(value)}" for key, value in event.items())]
        return "\n".join([" ".join(words), *(f"    {show(line)}" for line in str(exception).splitlines())])


class Prioritised:
    """Each line behind its priority, as the journal reads it from standard error (sd-daemon(3))."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def __call__(self, logger: object, method: str, event: Event) -> str:
        mark = f"<{PRIORITIES.get(event['level'], PRIORITIES['info'])}>"
        return "\n".join(mark + line for line in self._render(logger, method, event).split("\n"))


def explained(_logger: object, _method: str, event: Event) -> Event:
    """Our errors with their fields, a refused config with its problems, times as RFC 3339 (`always` for ever)."""
    for key, value in list(event.items()):
        if isinstance(value, str):
            continue
        if isinstance(value, ConfigError):
            event[key] = "the config is refused"
            event.setdefault("problems", list(value.problems))
        elif isinstance(value, PoprelayError):
            event[key] = str(value)
            for name, detail in value.fields.items():
                event.setdefault(name, detail)
        elif isinstance(value, int | float) and key in _INSTANTS:
            event[key] = rfc3339(value) or "always"
    return event


def bounded(_logger: object, _method: str, event: Event) -> Event:
    """No text longer than `LONGEST`, and no number that JSON does not know."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > LONGEST and key != "exception":
            event[key] = f"{value[:LONGEST]}… ({len(value)} characters)"
        elif isinstance(value, float) and not math.isfinite(value):
            event[key] = str(value)
    return event


def spelled(value: object) -> str:
    r"""A field's value as one word: escaped, and in quotes where a blank, quote or `=` would make it look like two.

    >>> spelled("ann"), spelled("x y=z"), spelled('say "hi"'), spelled(["a b", 7]), spelled("a\nb"), spelled(True)
    ('ann', '"x y=z"', '"say \\x22hi\\x22"', '["a b", 7]', 'a\\x0ab', 'true')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(spelled, value))}]"
    text = show(str(value))
    return text if text and not _JOINTS.search(text) else '"' + text.replace('"', "\\x22") + '"'


def _now() -> str:
    return rfc3339(_CLOCK.now()) or "-"
