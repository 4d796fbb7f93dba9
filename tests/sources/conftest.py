"""Shared by the tests of sources: quiet logs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import LogCapture


@pytest.fixture(autouse=True)
def logged() -> Iterator[LogCapture]:
    """What was logged; nothing reaches the terminal."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)
