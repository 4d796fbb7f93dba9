"""What the event loop complains of: in our log, and the same thing at most once a minute."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

from poprelay.services.tally import Tally

log = structlog.get_logger()


class Complaints:
    """One process's. asyncio says 'socket.accept() out of system resource' up to a hundred times a second."""

    def __init__(self) -> None:
        self._tally: Final = Tally()

    def heed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception handler for `loop.set_exception_handler`."""
        message, error = str(context.get("message")), context.get("exception")
        if isinstance(error, OSError):
            if self._tally.note(message):
                log.error("the system refuses", what=message, error=error.strerror or str(error))
        else:
            log.error("a bug of ours", what=message, exc_info=error)
