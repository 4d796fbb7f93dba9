"""What the event loop complains of is in the log, with no flood."""

from __future__ import annotations

import asyncio
import errno
import os

from structlog.testing import capture_logs

from poprelay.daemon.logs.complaints import Complaints


async def test_what_the_system_refuses_again_and_again_is_said_once_and_without_a_traceback() -> None:
    complaints = Complaints()
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with capture_logs() as logs:
        for _ in range(1000):
            complaints.heed(asyncio.get_running_loop(), {"message": "socket.accept()", "exception": error})
    (line,) = logs
    assert line["error"] == "Too many open files"
    assert "exc_info" not in line


async def test_anything_else_is_a_bug_and_is_shown_whole() -> None:
    with capture_logs() as logs:
        Complaints().heed(asyncio.get_running_loop(), {"message": "in a task", "exception": ZeroDivisionError("x")})
    (line,) = logs
    assert isinstance(line["exc_info"], ZeroDivisionError)
