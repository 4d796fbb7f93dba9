"""Makes a plan so, and takes it back: a backup beside each file, and a record of what was done.

The record is written before anything is changed, so that what was begun can be taken back whatever happens between.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from poprelay.errors import MtaError
from poprelay.mta import Edit, Folder

SUFFIX: Final = ".before-poprelay"
"""What a backup's name ends in; it lies beside its file."""

COMMAND_TIMEOUT: Final = 60.0


class Changed(msgspec.Struct):
    """A file that we changed: what it became, and whether it was there before."""

    path: str
    digest: str
    existed: bool
    changing: bool = False


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
    return [edit for edit in edits if _content(edit.path) != edit.content]


def diff(edits: Iterable[Edit]) -> str:
    """What would change, as a unified diff."""
    lines: list[str] = []
    for edit in edits:
        old = _content(edit.path)
        before = str(edit.path) if old is not None else os.devnull
        lines += difflib.unified_diff(_text(old or b""), _text(edit.content), before, str(edit.path))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def apply(
    edits: Sequence[Edit], folders: Sequence[Folder], record_path: Path, record: Record, kept: Sequence[Path] = ()
) -> None:
    """Write every file, with a backup beside each that was there; note all of it in the record.

    Of a link the target is written. What an earlier run has changed keeps its first backup. `kept` files get a backup
    and are not written. Raises MtaError; what was done until then is in the record.
    """
    known = {changed.path: changed for changed in record.files}
    edits = [msgspec.structs.replace(edit, path=Path(os.path.realpath(edit.path))) for edit in edits]
    for folder in folders:
        if not folder.path.is_dir():
            record.folders.append(str(folder.path))
    for edit in edits:
        before = known.get(str(edit.path))
        if before is None:
            record.files.append(Changed(str(edit.path), _digest(edit.content), edit.path.exists()))
        else:
            before.digest = _digest(edit.content)
    fresh = [path for path in kept if str(path) not in known]
    record.files += [Changed(str(path), "", path.exists(), changing=True) for path in fresh]
    try:
        _write_record(record_path, record)
        for folder in folders:
            make(folder)
        for path in fresh:
            _back_up(path)
        for edit in edits:
            if str(edit.path) not in known:
                _back_up(edit.path)
            replace(edit.path, edit.content, edit.mode)
    except OSError as error:
        raise MtaError(f"{error.filename}: {error.strerror}", remedy="run it as root") from error


def undo(record_path: Path, record: Record) -> list[str]:
    """Put every file back as it was, and remove what was new. Returns sentences about what was left, if anything.

    A file that somebody has changed since is left as it is, and so is its backup.
    """
    left: list[str] = []
    kept: list[Changed] = []
    for changed in reversed(record.files):
        path, backup = Path(changed.path), backup_of(Path(changed.path))
        if _touched(changed) and (not changed.existed or backup.exists()):
            where = f"; as it was before: {backup}" if changed.existed else ""
            left.append(f"{path} was changed since, and is left as it is{where}")
            kept.append(changed)
        else:
            _restore(changed)
    folders, record.folders = record.folders, []
    record.files = kept[::-1]
    if kept:
        _write_record(record_path, record)
    else:
        record_path.unlink(missing_ok=True)
    _remove_empty(reversed(folders))
    return left


class Before(NamedTuple):
    """What files held before a run that is not the first, and the record as it was then."""

    contents: dict[Path, bytes | None]
    record: Record

    @classmethod
    def of(cls, edits: Iterable[Edit], record: Record) -> Self:
        return cls({(path := Path(os.path.realpath(edit.path))): _content(path) for edit in edits}, record)

    def put_back(self, record_path: Path, now: Record) -> None:
        """Put back what that run has changed, and keep what the runs before it have. Raises MtaError."""
        known = {changed.path for changed in self.record.files}
        try:
            for changed in now.files:
                if changed.path not in known:
                    _restore(changed)
            for path, content in self.contents.items():
                if content is not None and str(path) in known:
                    replace(path, content, 0o644)
            _remove_empty(name for name in now.folders if name not in self.record.folders)
            _write_record(record_path, self.record)
        except OSError as error:
            raise MtaError(f"{error.filename}: {error.strerror}", remedy="run it as root") from error


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


def backup_of(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def make(folder: Folder) -> None:
    """Make a directory that is not there. Raises OSError."""
    if not folder.path.is_dir():
        folder.path.mkdir(parents=True)
        shutil.chown(folder.path, folder.user, folder.group or None)
        folder.path.chmod(folder.mode)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file anew, whole or not at all; owner and mode are kept where it exists."""
    new = path.with_name(f".{path.name}.poprelay-new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            if path.exists():
                status = path.stat()
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
                mode = status.st_mode & 0o7777
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _touched(changed: Changed) -> bool:
    """Whether somebody else has changed the file since."""
    content = _content(Path(changed.path))
    return content is not None and not changed.changing and _digest(content) != changed.digest


def _restore(changed: Changed) -> None:
    """Make a file what it was before, or gone if it was not there."""
    path, backup = Path(changed.path), backup_of(Path(changed.path))
    if not changed.existed:
        path.unlink(missing_ok=True)
    elif backup.exists():
        backup.replace(path)


def _remove_empty(folders: Iterable[str]) -> None:
    for name in folders:
        with contextlib.suppress(OSError):  # gone, or something lies in it
            Path(name).rmdir()


def _back_up(path: Path) -> None:
    """Keep a file as it is, beside it; nothing if it is not there. Raises MtaError, OSError."""
    backup = backup_of(path)
    if not path.exists():
        return
    if backup.exists():
        raise MtaError(f"{backup} is in the way", remedy="see what it is, and move it away")
    shutil.copy2(path, backup)
    status = path.stat()
    os.chown(backup, status.st_uid, status.st_gid)


def _write_record(path: Path, record: Record) -> None:
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)  # whatever the umask: the daemon's config lies there
    replace(path, msgspec.json.format(msgspec.json.encode(record)), 0o600)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MtaError(f"{path}: {error.strerror}", remedy="run it as root") from error


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _text(content: bytes) -> list[str]:
    return content.decode("utf-8", "surrogateescape").splitlines(keepends=True)
