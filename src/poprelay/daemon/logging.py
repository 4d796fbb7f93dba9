"""What the daemon says about itself: events with fields, never sentences; as text, as JSON, or to syslog.

Text that somebody else chose only ever comes as a field, and is escaped before it leaves. Under systemd each line
begins with its priority (sd-daemon(3)), so that the journal knows how grave it is.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from poprelay.clock import Clock
from poprelay.config.settings import LogSettings
from poprelay.errors import PoprelayError
from poprelay.escape import show
from poprelay.spans import rfc3339

_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_INSTANTS: Final = frozenset({"until", "at", "opened"})
_SYSLOG: Final = "/dev/log"
_CLOCK: Final = Clock()

Event = MutableMapping[str, Any]


def set_up_logging(settings: LogSettings, *, syslog: str = _SYSLOG) -> None:
    """Log as the config says, from now on. Raises PoprelayError if there is no syslog to write to."""
    root = logging.getLogger("poprelay")
    handler = _to_syslog(syslog) if settings.to == "syslog" else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.propagate = False
    root.setLevel(settings.level.upper())
    journal = settings.to == "stderr" and "JOURNAL_STREAM" in os.environ
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            _instants,
            _Json() if settings.format == "json" else _Text(stamped=not journal and settings.to == "stderr"),
            _prioritised if journal else _as_is,
        ],
        logger_factory=_logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _logger(*_names: object) -> logging.Logger:
    return logging.getLogger("poprelay")


def _to_syslog(path: str) -> logging.Handler:
    try:
        handler = logging.handlers.SysLogHandler(path, facility="daemon")
    except OSError as error:
        raise PoprelayError(
            f"there is no syslog at {path}: {error.strerror or error}", remedy='write to = "stderr" in [log]'
        ) from None
    handler.ident = f"poprelay[{os.getpid()}]: "
    return handler


def _instants(_logger: object, _method: str, event: Event) -> Event:
    """Times as RFC 3339: they are floats everywhere inside."""
    for key in _INSTANTS & event.keys():
        if isinstance(event[key], float):
            event[key] = rfc3339(event[key]) or "always"
    return event


class _Json:
    """One object per line: `at`, `level`, `event`, then the fields."""

    def __call__(self, _logger: object, _method: str, event: Event) -> str:
        row = {"at": _now(), "level": event.pop("level"), "event": event.pop("event"), **event}
        return json.dumps(row, default=str)


class _Text:
    """One line for people: when, how grave, what, and the fields as `key=value`."""

    def __init__(self, *, stamped: bool) -> None:
        self._stamped = stamped

    def __call__(self, _logger: object, _method: str, event: Event) -> str:
        level, what = event.pop("level"), event.pop("event")
        exception = event.pop("exception", None)
        fields = " ".join(f"{key}={_value(value)}" for key, value in event.items())
        line = " ".join(
            part for part in (_now() if self._stamped else "", f"{level}:", show(str(what)), fields) if part
        )
        return (
            line
            if exception is None
            else "\n".join([line, *(f"    {show(each)}" for each in str(exception).split("\n"))])
        )


def _value(value: object) -> str:
    text = show(str(value))
    return (
        text
        if text and " " not in text and '"' not in text and "=" not in text
        else json.dumps(text, ensure_ascii=False)
    )


def _prioritised(_logger: object, method: str, line: Any) -> str:
    return f"<{_PRIORITIES.get(method, 6)}>{line}"


def _as_is(_logger: object, _method: str, line: Any) -> str:
    return str(line)


def _now() -> str:
    return rfc3339(_CLOCK.now()) or ""
