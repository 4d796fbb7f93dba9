"""Asking root's part: what needs root is done by a unit of its own, which takes no argument from us.

    /run/poprelay-root/requests/NAME.request    ours: 'please', as a number that was not used before
    /run/poprelay-root/results/NAME             root's: the number of the last request that was served, and how it ended

NAME is one entry of /etc/poprelay/root.toml, root's own list of commands. `poprelay-root.path` starts
`poprelay-root.service` while there is a request; that takes the request away, then runs the entry's commands, then
writes the result. The number of a request is 18 digits, of which root's part makes nothing: 9 that this process drew,
and a count. So whatever ran for a later request of ours ran for an earlier one too.

A result counts only if its file is root's.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from poprelay.errors import MapError
from poprelay.maps import atomic

DIRECTORY: Final = Path("/run/poprelay-root")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
NUMBER: Final = re.compile(rb"[0-9]{1,20}")
SUFFIX: Final = ".request"
LONGEST_RESULT: Final = 8192

ROOT_UID = 0
PICK_UP: Final = 10.0
"""Seconds within which root's part takes a request away, if there is one."""

_TICK: Final = 0.02
_SPAN: Final = 10**9
_process: Final = 1 + secrets.randbelow(_SPAN - 1)
_count: Final = itertools.count(1)
_asking: Final = threading.Lock()
"""Requests are written in the order of their numbers."""


class Result(msgspec.Struct, frozen=True):
    """How the last run for a command ended. `at` is CLOCK_MONOTONIC; `failed` is empty if all went well."""

    request: int
    at: float
    failed: str = ""


@dataclass(frozen=True, slots=True)
class RootCommand:
    """Asks root's part for the command `name`, and waits for it: `timeout` seconds from when it was taken up."""

    name: str
    directory: Path = DIRECTORY
    timeout: float = 30.0

    def __call__(self, _file: Path) -> None:
        """Returns when the command has ended well. MapError if it failed, or there is no root's part that runs it."""
        request = self.directory / "requests" / f"{self.name}{SUFFIX}"
        number = self._ask(request)
        began = time.monotonic()
        taken = None
        while True:
            result = self._answer(number)
            if result is not None and not result.failed:
                return
            if result is not None:
                raise MapError(f"root's part: {self.name}: {result.failed}", remedy="run `poprelay root-commands`")
            now = time.monotonic()
            if taken is None and not request.exists():
                taken = now
            if taken is None and now - began > PICK_UP:
                raise MapError(
                    f"root's part does not answer: nobody took {request} away, for {PICK_UP:g} s",
                    remedy="systemctl enable --now poprelay-root.path; or it is busy, see: journalctl -u poprelay-root",
                )
            if taken is not None and now - taken > self.timeout:
                raise MapError(
                    f"root's part did not end {self.name} within {self.timeout:g} s",
                    remedy="look at: journalctl -u poprelay-root",
                )
            time.sleep(_TICK)

    def _ask(self, request: Path) -> int:
        fresh = request.with_name(atomic.temporary(request.name))
        with _asking:
            number = _process * _SPAN + next(_count)
            try:
                with suppress(FileNotFoundError):
                    fresh.unlink()
                fresh.write_text(f"{number}\n")
                fresh.replace(request)
            except OSError as error:
                raise MapError(
                    f"root's part cannot be asked: {request.parent}: {error.strerror}",
                    remedy="install and start it: systemctl enable --now poprelay-root.path",
                ) from error
        return number

    def _answer(self, number: int) -> Result | None:
        """The result of a run for this request, or for a later one of this process."""
        try:
            result = read_result(self.directory / "results" / self.name)
        except OSError:
            return None
        if result is not None and result.request // _SPAN == number // _SPAN and result.request >= number:
            return result
        return None


def read_result(path: Path) -> Result | None:
    """The result in a file; None if it is not root's own, or no result. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid != ROOT_UID:
            return None
        said = file.read(LONGEST_RESULT)
    try:
        return msgspec.json.decode(said, type=Result)
    except msgspec.DecodeError:
        return None
