"""Files that we change, each with a backup beside it: what it would be without us, even where others change it, too."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from poprelay.errors import MtaError

SUFFIX: Final = ".before-poprelay"
"""What a backup's name ends in; it lies beside its file."""
_ATTRIBUTES: Final = ("system.posix_acl_access", "security.selinux")
_OURS: Final = b"poprelay"
"""In whatever asks us."""
_TEXT: Final = "latin-1"
"""Any bytes, and back."""


class Changed(msgspec.Struct):
    """A file that we changed: what we made of it, and whether it was there before."""

    path: str
    existed: bool
    digests: list[str] = []
    """Of all that we wrote there."""
    blocks: list[tuple[str, str]] = []
    """Lines of ours, and those in whose place they stand."""
    changing: bool = False
    """Whether others write it because of us."""
    asks: bool = False
    """Whether it is the MTA's own: by it we are asked."""

    @property
    def backup(self) -> Path:
        return backup_of(Path(self.path))

    def touched(self) -> bool:
        """Whether somebody else has changed the file since we have."""
        now, before = content(Path(self.path)), content(self.backup)
        if now is None or self.changing or (self.existed and before is None):
            return False  # gone, or theirs, or not changed yet
        return now != before and bool(self.digests) and _digest(now) not in self.digests

    def wrote(self, new: bytes) -> None:
        """Note what is to be written. Where others have written, too, the backup gets that. Raises MtaError, OSError.

        A file that was not there, and that others have changed since, stays theirs.
        """
        if self.touched():
            if not self.existed:
                return
            if not self.rebase():
                raise MtaError(
                    f"{self.path} was changed since setup, and what of it is ours cannot be told",
                    remedy=f"take our lines out of it (diff {self.backup} {self.path}), then run setup again",
                )
        self.digests.append(_digest(new))
        self.blocks = _blocks(content(self.backup) or content(Path(self.path)) or b"", new)

    def rebase(self) -> bool:
        """Let the backup of a file that was changed since be what it is now, but without us; False if that is unclear.

        Raises MtaError, OSError.
        """
        now = content(Path(self.path)) or b""
        without = _without(now.decode(_TEXT), self.blocks)
        if without is None and _OURS in now.lower():
            return False
        if not self.backup.exists():
            return False
        replace(self.backup, now if without is None else without.encode(_TEXT), 0o600)
        return True

    def asks_us(self) -> bool:
        return self.asks and _OURS in (content(Path(self.path)) or b"").lower()

    def restore(self) -> None:
        """Make the file what it was before, or gone if it was not there. Raises OSError."""
        if not self.existed:
            Path(self.path).unlink(missing_ok=True)
        elif self.backup.exists():
            self.backup.replace(self.path)


def backup_of(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def back_up(path: Path) -> None:
    """Keep a file as it is, beside it, whole or not at all; nothing if it is not there. Raises MtaError, OSError."""
    backup = backup_of(path)
    if not path.exists():
        return
    if backup.exists():
        raise MtaError(f"{backup} is in the way", remedy="see what it is, and move it away")
    with _beside(backup) as new:
        shutil.copy2(path, new)
        status = path.stat()
        os.chown(new, status.st_uid, status.st_gid)
        _sync(new)
        new.replace(backup)


def replace(path: Path, text: bytes, mode: int) -> None:
    """Write a file anew, whole or not at all; owner, mode, access list and label are kept where it exists."""
    with _beside(path) as new:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(text)
        if path.exists():
            status = path.stat()
            os.chown(new, status.st_uid, status.st_gid)
            mode = status.st_mode & 0o7777
            _copy_attributes(path, new)
        new.chmod(mode)
        _sync(new)
        new.replace(path)


def content(path: Path) -> bytes | None:
    """What is in a file; None if there is none. Raises MtaError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(error, path) from error


def failed(error: OSError, path: Path) -> MtaError:
    """What to say of a file that cannot be read or written: a full disk names none."""
    remedy = "run it as root" if os.geteuid() else "mend that, then run it again"
    return MtaError(f"{error.filename or path}: {error.strerror}", remedy=remedy)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    new = path.with_name(f".{path.name}.poprelay-new")
    new.unlink(missing_ok=True)  # of a run that was killed
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


def _copy_attributes(path: Path, new: Path) -> None:
    """As far as the file system has them."""
    for name in _ATTRIBUTES:
        with contextlib.suppress(OSError):
            os.setxattr(new, name, os.getxattr(path, name))


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _blocks(before: bytes, ours: bytes) -> list[tuple[str, str]]:
    old, new = (text.decode(_TEXT).splitlines(keepends=True) for text in (before, ours))
    found = SequenceMatcher(None, old, new).get_opcodes()
    return [("".join(new[j:k]), "".join(old[h:i])) for what, h, i, j, k in found if what != "equal"]


def _without(text: str, blocks: Iterable[tuple[str, str]]) -> str | None:
    """A text with what was there in the place of ours; None unless each block of ours is there once.

    >>> _without("a\\nours\\nb\\nc\\n", [("ours\\n", "old\\n")]), _without("a\\n", [("ours\\n", "old\\n")])
    ('a\\nold\\nb\\nc\\n', None)
    """
    text = f"\n{text}"
    for ours, before in blocks:
        if not ours or text.count(f"\n{ours}") != 1:
            return None
        text = text.replace(f"\n{ours}", f"\n{before}")
    return text[1:]


def _digest(text: bytes) -> str:
    return sha256(text).hexdigest()
