"""What the faults need; in CI (`CI=true`) one that did not run is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from faults.host import seclude
from live.conftest import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport", "short"]


@cache
def why_not() -> str:
    """Why faults cannot be made here, or nothing."""
    if os.geteuid() != 0:
        return "faults need root: they mount small disks, and take rights away"
    for program in ("gcc", "unshare", "setpriv", "mount"):
        if shutil.which(program) is None:
            return f"there is no {program} here"
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False)
    return "" if tried.returncode == 0 else "this machine lets nobody mount"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path (a unix socket's is at most 107 bytes), and mounts that are ours alone."""
    seclude()
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        yield Path(place)
