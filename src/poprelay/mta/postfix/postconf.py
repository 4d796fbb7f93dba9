"""Asks postconf(1), which knows what main.cf and master.cf mean."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from poprelay.errors import MtaError

TIMEOUT: Final = 10.0
"""Seconds for postconf to answer."""
PLACES: Final = ("/usr/sbin/postconf", "/usr/local/sbin/postconf")
"""Where it is when PATH does not say, as in a unit or under cron."""


def find() -> str:
    """Its path; empty if there is none."""
    found = shutil.which("postconf")
    return found or next((path for path in PLACES if shutil.which(path)), "")


def ask(program: str, *words: str, timeout: float = TIMEOUT) -> str:
    """What it prints. Raises MtaError with what it complains about."""
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise MtaError(f"{program} did not answer within {timeout:g} seconds") from None
    except OSError as error:
        raise MtaError(f"cannot run {program}: {error.strerror or error}") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MtaError(shown(lines[-1]) if lines else f"{program} failed without a word")
    return done.stdout.decode("utf-8", "replace")


def values(program: str, names: Sequence[str], *, expanded: bool = True) -> dict[str, str]:
    """The values of parameters, the defaults included."""
    said = ask(program, *(("-x",) if expanded else ()), *names)
    found = (line.partition("=") for line in said.splitlines())
    return {name.strip(): value.strip() for name, _, value in found}


def shown(text: str) -> str:
    """Fit to be printed."""
    return re.sub(r"[^ -~]", "?", text[:200])
