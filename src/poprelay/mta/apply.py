"""Makes a plan so, and takes it back: a backup beside each file, and a record of what was done.

The record is written before anything is changed, so that what was begun can be taken back whatever happens between.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from poprelay.errors import MtaError
from poprelay.mta import Edit, Folder
from poprelay.mta.backups import Changed, back_up, content, failed, replace

COMMAND_TIMEOUT: Final = 60.0


class Record(msgspec.Struct):
    """What `setup` did here, for `setup --undo`. `mta` and `reload`: who has to be told again.

    `ends`: what is to be run before anything is put back.
    """

    mta: str
    files: list[Changed] = []
    folders: list[str] = []
    reload: list[list[str]] = []
    ends: list[list[str]] = []


def pending(edits: Iterable[Edit]) -> list[Edit]:
    """Those that would change something."""
    return [edit for edit in edits if content(edit.path) != edit.content]


def diff(edits: Iterable[Edit]) -> str:
    """What would change, as a unified diff."""
    lines: list[str] = []
    for edit in edits:
        old = content(edit.path)
        before = str(edit.path) if old is not None else os.devnull
        lines += difflib.unified_diff(_text(old or b""), _text(edit.content), before, str(edit.path))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def apply(
    edits: Sequence[Edit],
    folders: Sequence[Folder],
    record_path: Path,
    record: Record,
    kept: Sequence[Path] = (),
    *,
    asking: bool = False,
) -> None:
    """Write every file, with a backup beside each that was there; note all of it in the record.

    Of a link the target is written. What an earlier run has changed keeps its first backup, and what others have
    changed there since. `kept` files get a backup and are not written. `asking`: with these the MTA
    asks us. Raises MtaError; what was done until then is in the record.
    """
    known = {changed.path: changed for changed in record.files}
    edits = [msgspec.structs.replace(edit, path=Path(os.path.realpath(edit.path))) for edit in edits]
    at = record_path
    try:
        for folder in folders:
            if not folder.path.is_dir():
                record.folders.append(str(folder.path))
        for edit in edits:
            at = edit.path
            if str(at) not in known:
                record.files.append(Changed(str(at), at.exists(), asks=asking and at.exists()))
            next(changed for changed in record.files if changed.path == str(at)).wrote(edit.content)
        fresh = [path for path in kept if str(path) not in known]
        record.files += [Changed(str(path), path.exists(), changing=True) for path in fresh]
        at = record_path
        _write_record(record_path, record)
        for folder in folders:
            make(folder)
        for at in fresh:
            back_up(at)
        for edit in edits:
            at = edit.path
            if str(at) not in known:
                back_up(at)
            replace(at, edit.content, edit.mode)
    except OSError as error:
        raise failed(error, at) from error


def undo(
    record_path: Path, record: Record, say: Callable[[str], object], unasked: Callable[[], object] = lambda: None
) -> bool:
    """Put every file back as it was, and remove what was new; False if something was left.

    Of a file that others have changed since only what is ours is taken out; where it cannot be told what that is, it is
    left as it is, and so is its backup. The MTA's files come first; then nobody asks us, and `unasked` is called. But
    while one asks us still, all that it asks stays. Raises MtaError.
    """
    left = [changed for changed in reversed(record.files) if changed.asks and not _put_back(changed, say)]
    others = [changed for changed in reversed(record.files) if not changed.asks]
    folders = record.folders
    if any(changed.asks_us() for changed in left):
        say("poprelay goes on, for the MTA asks it still; when you have taken that out: poprelay setup --undo")
        left += others
    else:
        unasked()
        left += [changed for changed in others if not _put_back(changed, say)]
        record.folders = []
    record.files = [changed for changed in record.files if changed in left]
    if left:
        _write_record(record_path, record)
    else:
        record_path.unlink(missing_ok=True)
    if not record.folders:
        _remove_empty(reversed(folders))
    return not left


class Before(NamedTuple):
    """What files held before a run that is not the first, and the record as it was then."""

    contents: dict[Path, bytes | None]
    record: Record

    @classmethod
    def of(cls, edits: Iterable[Edit], record: Record) -> Self:
        return cls({(path := Path(os.path.realpath(edit.path))): content(path) for edit in edits}, record)

    def put_back(self, record_path: Path, now: Record) -> None:
        """Put back what that run has changed, and keep what the runs before it have. Raises MtaError."""
        known = {changed.path for changed in self.record.files}
        try:
            for changed in now.files:
                if changed.path not in known:
                    changed.restore()
            for path, text in self.contents.items():
                if text is not None and str(path) in known:
                    replace(path, text, 0o644)
            _remove_empty(name for name in now.folders if name not in self.record.folders)
            _write_record(record_path, self.record)
        except OSError as error:
            raise failed(error, record_path) from error


def run(commands: Iterable[Sequence[str]]) -> None:
    """Run each, without a shell; MtaError with what the first one that fails has said."""
    for command in commands:
        try:
            done = subprocess.run(
                list(command), capture_output=True, timeout=COMMAND_TIMEOUT, stdin=subprocess.DEVNULL, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MtaError(f"{' '.join(command)}: {error}") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
            raise MtaError(f"{' '.join(command)}: {said[-1] if said else f'exit code {done.returncode}'}")


def read_record(path: Path, mta: str = "") -> Record:
    """What was done before; an empty one for `mta` if nothing was."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return Record(mta)
    except (OSError, msgspec.DecodeError) as error:
        raise MtaError(f"{path} cannot be read: {error}", remedy="put the files back by hand") from error


def make(folder: Folder) -> None:
    """Make a directory that is not there. Raises OSError."""
    if not folder.path.is_dir():
        folder.path.mkdir(parents=True)
        shutil.chown(folder.path, folder.user, folder.group or None)
        folder.path.chmod(folder.mode)


def _put_back(changed: Changed, say: Callable[[str], object]) -> bool:
    """Whether it is as it was, or as others have it, but without us. Raises MtaError."""
    try:
        if changed.touched():
            if not changed.existed or not changed.rebase():
                where = f"; diff {changed.backup} {changed.path}" if changed.existed else ""
                say(f"{changed.path} was changed since, and is left as it is{where}")
                return False
            say(f"{changed.path} was changed since: only what is ours was taken out")
        changed.restore()
    except OSError as error:
        raise failed(error, Path(changed.path)) from error
    return True


def _remove_empty(folders: Iterable[str]) -> None:
    for name in folders:
        with contextlib.suppress(OSError):  # gone, or something lies in it
            Path(name).rmdir()


def _write_record(path: Path, record: Record) -> None:
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)  # whatever the umask: the daemon's config lies there
    replace(path, msgspec.json.format(msgspec.json.encode(record)), 0o600)


def _text(content: bytes) -> list[str]:
    return content.decode("utf-8", "surrogateescape").splitlines(keepends=True)
