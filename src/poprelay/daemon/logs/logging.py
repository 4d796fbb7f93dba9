"""What the daemon says about itself: events with fields, never sentences; as text, as JSON, or to syslog."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog
from structlog.stdlib import ProcessorFormatter

from poprelay.config.settings import LogSettings
from poprelay.daemon.logs.logformat import Json, Prioritised, Text, bounded, explained
from poprelay.daemon.logs.syslog import Syslog

_LOGGERS: Final = ("poprelay", "asyncio")
"""Ours, and the one that tells of tasks which nobody waited for."""


def set_up_logging(settings: LogSettings, *, syslog: str = "") -> None:
    """Log as the config says, from now on. `syslog` is the socket, if it is not where this system has it.

    Raises PoprelayError if there is no syslog to write to; then all stays as it was.
    """
    to_syslog = settings.to == "syslog"
    handler = Syslog(syslog) if to_syslog else _Stderr(sys.stderr)
    in_journal = not to_syslog and is_journal(sys.stderr, os.environ)
    render = Json() if settings.format == "json" else Text(stamped=not (in_journal or to_syslog))
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                explained,
                bounded,
                Prioritised(render) if in_journal else render,
            ],
        )
    )
    for name in _LOGGERS:
        _become(logging.getLogger(name), handler, settings.level)
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, ProcessorFormatter.wrap_for_formatter],
        logger_factory=_logger,
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        cache_logger_on_first_use=False,
    )


def is_journal(stream: Any, environ: Mapping[str, str]) -> bool:
    """Whether what is written to `stream` goes to the journal: systemd says which file that is (systemd.exec(5))."""
    try:
        seen = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"


class _Stderr(logging.StreamHandler[Any]):
    """Standard error. Where that is gone, there is nobody to tell."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        pass


def _become(logger: logging.Logger, handler: logging.Handler, level: str) -> None:
    for old in logger.handlers[:]:
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(level.upper())


def _logger(*_names: object) -> logging.Logger:
    return logging.getLogger(_LOGGERS[0])
