"""Running an operator's command after a map has changed: no shell, a time limit, and its own words when it fails."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from poprelay.errors import MapError

_KEPT: Final = 4096
"""Bytes of output that are kept; of these the last line is told."""
_TOLD: Final = 200
_TICK: Final = 0.05
_BY_HAND: Final = "run it by hand to see why"
_SHELL: Final = frozenset("|&;<>()")
_OURS: Final = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
"""Variables by which systemd speaks to the daemon alone."""


class Step(NamedTuple):
    """One command: program and arguments, and the file that it reads as its standard input (None: nothing)."""

    run: tuple[str, ...]
    stdin: Path | None = None


def parse(text: str) -> tuple[str, ...]:
    """Split a command as a shell would; ValueError where only a shell could run it.

    >>> parse("postmap 'hash:/etc/postfix/my relay'")
    ('postmap', 'hash:/etc/postfix/my relay')
    >>> parse("makemap hash access < access")
    Traceback (most recent call last):
    ...
    ValueError: '<' needs a shell, and none is used
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = tuple(lexer)
    for word in words:
        if word and _SHELL.issuperset(word):
            raise ValueError(f"{word!r} needs a shell, and none is used")
    if not words:
        raise ValueError("it is empty")
    return words


def run(command: Sequence[str], *, timeout: float, stdin: Path | None = None) -> None:
    """Run `command` and wait for it, at most `timeout` seconds; then it and all that it started are killed.

    `stdin` is a file that it reads. MapError if it cannot be started, fails or hangs. What it leaves running when it
    ends well (a restarted server) is left alone.
    """
    shown = _shown(command)
    try:
        source = os.open(stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise MapError(f"{shown} cannot read {stdin}: {error.strerror}", remedy="correct `stdin`") from error
    try:
        os.set_blocking(source, True)
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _not_started(shown, error) from error
    finally:
        os.close(source)
    assert process.stdout is not None
    with process.stdout as output:
        try:
            said = _watch(process, output, time.monotonic() + timeout)
        except BaseException:
            _kill(process)
            raise
    if said is None:
        raise MapError(f"{shown} did not end within {timeout:g} s and was killed", remedy=_BY_HAND)
    if process.returncode:
        raise _failed(shown, process.returncode, said)


def output(command: Sequence[str], *, timeout: float) -> bytes:
    """What `command` prints, within `timeout` seconds. MapError if it cannot be started, fails or hangs."""
    shown = _shown(command)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            cwd="/",
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MapError(f"{shown} did not end within {timeout:g} s and was killed", remedy=_BY_HAND) from error
    except (OSError, ValueError) as error:
        raise _not_started(shown, error) from error
    if done.returncode:
        raise _failed(shown, done.returncode, done.stderr)
    return done.stdout


def _watch(process: subprocess.Popen[bytes], output: IO[bytes], deadline: float) -> bytes | None:
    """The end of what the process says until it ends, or None if it had to be killed."""
    said = b""
    os.set_blocking(output.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            if not ended and time.monotonic() >= deadline:
                _kill(process)
                return None
            ready = selector.select(0 if ended else _TICK)
            chunk = os.read(output.fileno(), 65536) if ready else b""
            said = (said + chunk)[-_KEPT:]
            if ended and (not chunk or time.monotonic() >= deadline):
                return said
            if ready and not chunk:  # it closed its output; what is left is to wait for its end
                selector.unregister(output)
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    _kill(process)
                    return None
                return said


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _OURS} | {"LC_ALL": "C"}


def _not_started(shown: str, error: Exception) -> MapError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return MapError(f"{shown} cannot be started: {reason}", remedy="correct the command")


def _failed(shown: str, code: int, said: bytes) -> MapError:
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    words = _last_line(said)
    return MapError(f"{shown} failed ({how}){': ' if words else ''}{words}", remedy=_BY_HAND)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shown(command: Sequence[str]) -> str:
    return _printable(shlex.join(command).encode("utf-8", "surrogateescape"))


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return _printable(lines[-1])[:_TOLD] if lines else ""


def _printable(said: bytes) -> str:
    text = said.decode("utf-8", "backslashreplace")
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)
