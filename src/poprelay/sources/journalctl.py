"""Runs journalctl(1): which command reads what of the journal, and what it means when the command fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from poprelay.errors import SourceError
from poprelay.sources.ready import is_ready, until_ready

SUPPRESSED: Final = "a596d6fe7bfa4994828e72309e95d61e"
"""The MESSAGE_ID of journald's own word that it dropped messages by its rate limit (SD_MESSAGE_JOURNAL_DROPPED)."""

FIELDS: Final = (
    "MESSAGE",
    "SYSLOG_IDENTIFIER",
    "N_DROPPED",
    "_HOSTNAME",
    "_PID",
    "_UID",
    "_COMM",
    "_SYSTEMD_UNIT",
    "_TRANSPORT",
)
"""All that is asked for; journalctl adds the cursor and the times."""

_HEARD: Final = 4096  # bytes of what it says on its standard error
_LAST_WORDS: Final = 5.0  # seconds


class Journal(msgspec.Struct, frozen=True):
    """Which journal: this host's own, or the one in `directory`, or in a `namespace` (systemd-journald(8))."""

    directory: Path | None = None
    namespace: str = ""
    program: str = "journalctl"

    def command(self, *options: str, programs: Sequence[str] | None = None, boot: str = "") -> list[str]:
        """The command that prints, as JSON, the entries of these syslog tags (None: of any) and of this boot ("": of
        any), and journald's own word of what it dropped.

        `--all`: without it, a field of 4096 bytes and more is shown as null.
        """
        if programs is None:
            matches = ["_TRANSPORT=syslog", "_TRANSPORT=journal"]
        else:
            matches = [f"SYSLOG_IDENTIFIER={program}" for program in programs]
        driver = ["_TRANSPORT=driver", f"MESSAGE_ID={SUPPRESSED}"]
        of_boot = [f"_BOOT_ID={boot}"] if boot else []
        return [*self._print(FIELDS), "--all", *options, *of_boot, *matches, "+", *of_boot, *driver]

    def newest(self) -> list[str]:
        """The command that prints the newest entry, whatever it is."""
        return [*self._print(("_UID",)), "--lines=1"]

    def _print(self, fields: Sequence[str]) -> list[str]:
        """A directory is read as a whole, whichever hosts and boots its entries are of."""
        where = [f"--directory={self.directory}", "--merge"] if self.directory is not None else []
        where += [f"--namespace={self.namespace}"] if self.namespace else []
        return [self.program, *where, "--no-pager", "--output=json", f"--output-fields={','.join(fields)}"]


class Read(msgspec.Struct, frozen=True, gc=False):
    """What was printed, and whether more waits. Nothing is the end."""

    data: bytes
    more: bool


class Journalctl:
    """One running journalctl; a context manager that leaves no process behind.

    Raises SourceError if it cannot be started.
    """

    def __init__(self, command: list[str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
                process_group=0,  # an interrupt from the terminal is for us
            )
        except OSError as error:
            raise SourceError(
                f"{command[0]} cannot be run: {error.strerror}",
                remedy='on a host without systemd, follow its mail log: kind = "file"',
            ) from error
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout, self._process.stderr
        self._heard = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(self._out.fileno(), False)
        os.set_blocking(self._err.fileno(), False)
        self._loop.add_reader(self._err.fileno(), self._hear)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.remove_reader(self._err.fileno())
        self._process.kill()
        self._process.wait()
        self._out.close()
        self._err.close()

    async def read(self, size: int, *, until: float | None = None) -> Read | None:
        """What it prints next: at once, if there is an `until`, or else `size` bytes, if it ever prints so many.

        None if there was nothing `until` then, by the event loop's clock.
        """
        chunks: list[bytes] = []
        missing = size
        while missing > 0:
            try:
                async with asyncio.timeout_at(None if chunks else until):
                    await until_ready(self._out.fileno())
            except TimeoutError:
                return None
            try:
                chunk = os.read(self._out.fileno(), missing)
            except BlockingIOError:
                continue
            if not chunk:
                break
            chunks.append(chunk)
            missing -= len(chunk)
            if until is not None and not is_ready(self._out.fileno()):
                return Read(b"".join(chunks), more=False)
        return Read(b"".join(chunks), more=True)

    async def finish(self) -> None:
        """After the end of what it prints: raises SourceError unless it ended well, and could see everything."""
        try:
            code = await asyncio.to_thread(self._process.wait, _LAST_WORDS)
        except subprocess.TimeoutExpired:
            raise SourceError("journalctl has closed its output, but does not end") from None
        self._hear()
        said = self._heard.decode("utf-8", "replace")
        if "insufficient permissions" in said or "not seeing messages" in said:
            raise SourceError(
                "poprelay may not read all of the journal",
                remedy="add the account that it runs as to the group systemd-journal, and restart it",
            )
        if code != 0:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            last = (said.strip().splitlines() or ["(silence)"])[-1]
            raise SourceError(f"journalctl ended with {how}: {last[:200]}")

    def _hear(self) -> None:
        """Keep the last of what it says, so that it never has to wait for a listener."""
        try:
            said = os.read(self._err.fileno(), 65536)
        except BlockingIOError:
            return
        self._heard = (self._heard + said)[-_HEARD:]
        if not said:
            self._loop.remove_reader(self._err.fileno())
