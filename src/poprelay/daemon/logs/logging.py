"""What the daemon says about itself: events with fields, never sentences; as text, as JSON, or to syslog.

An event is written at once, not by way of the standard library's records: there may be one for each login, and a record
takes longer than all else that is done for that. What asyncio complains of comes by them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

import structlog
from structlog.typing import Processor

from poprelay.config.settings import LogSettings
from poprelay.daemon.logs.logformat import PRIORITIES, Json, Prioritised, Text, bounded, explained
from poprelay.daemon.logs.syslog import Syslog

_ASYNCIO: Final = logging.getLogger("asyncio")
"""Tells of tasks which nobody waited for."""


class Destination(Protocol):
    """Where lines go; from any thread."""

    def write(self, level: str, text: str) -> None:
        """Write one event, which may have several lines. Does not raise."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def set_up_logging(settings: LogSettings, *, syslog: str = "") -> None:
    """Log as the config says, from now on. `syslog` is the socket, if it is not where this system has it.

    Raises PoprelayError if there is no syslog to write to; then all stays as it was.
    """
    to_syslog = settings.to == "syslog"
    to: Destination = Syslog(syslog) if to_syslog else _Stderr(sys.stderr)
    in_journal = not to_syslog and is_journal(sys.stderr, os.environ)
    render = Json() if settings.format == "json" else Text(stamped=not (in_journal or to_syslog))
    becomes_text: tuple[Processor, ...] = (
        structlog.processors.format_exc_info,
        explained,
        bounded,
        Prioritised(render) if in_journal else render,
    )
    logger = _Logger(to)
    former = _ASYNCIO.handlers[:]
    _ASYNCIO.addHandler(_Records(to, becomes_text))
    _ASYNCIO.propagate = False
    _ASYNCIO.setLevel(settings.level.upper())
    structlog.configure(
        processors=[structlog.processors.add_log_level, *becomes_text],
        logger_factory=lambda *_: logger,
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        cache_logger_on_first_use=False,
    )
    for handler in former:  # when nothing is written to it any more
        _ASYNCIO.removeHandler(handler)
        handler.close()


def is_journal(stream: Any, environ: Mapping[str, str]) -> bool:
    """Whether what is written to `stream` goes to the journal: systemd says which file that is (systemd.exec(5))."""
    try:
        seen = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"


class _Logger:
    """What structlog hands its text to: a method for each level."""

    def __init__(self, to: Destination) -> None:
        for level in PRIORITIES:
            setattr(self, level, partial(to.write, level))


class _Stderr:
    """Standard error. Where that is gone, there is nobody to tell."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lock = threading.RLock()  # the collector may run within, and let asyncio complain

    def write(self, _level: str, text: str) -> None:
        with suppress(OSError, ValueError, RuntimeError), self._lock:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def close(self) -> None:
        """It is not ours."""


class _Records(logging.Handler):
    """Writes the standard library's records in our form. Closes the destination with itself."""

    def __init__(self, to: Destination, becomes_text: Sequence[Processor]) -> None:
        super().__init__()
        self._to = to
        self._becomes_text = becomes_text

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        said: Any = {"level": level, "event": record.getMessage()}
        if record.exc_info:
            said["exc_info"] = record.exc_info
        for step in self._becomes_text:
            said = step(None, level, said)
        self._to.write(level, said)

    def close(self) -> None:
        self._to.close()
        super().close()
