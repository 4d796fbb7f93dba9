"""What the operating system refuses, said to the operator: which map, why, and the next step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from poprelay.errors import MapError

_REMEDIES: Final[dict[int, str]] = {
    errno.EACCES: "let the user that poprelay runs as write in {parent}",
    errno.EPERM: "let the user that poprelay runs as write in {parent}",
    errno.EROFS: "make {parent} writable (with systemd: ReadWritePaths=)",
    errno.ENOENT: "create the directory {parent}",
    errno.ENOTDIR: "correct the path: one of its parents is no directory",
    errno.EISDIR: "there is a directory where a file belongs; move it away",
    errno.ENOSPC: "make room on the file system that holds {parent}",
    errno.EDQUOT: "raise the disk quota of the user that poprelay runs as",
}


@contextmanager
def explained(name: str, path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a MapError about the map `name` whose file is `path`."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        remedy = _REMEDIES.get(number, "").format(parent=path.parent)
        reason = error.strerror or str(error)
        raise MapError(f"{name}: {reason}", remedy=remedy, path=str(path), errno=os.strerror(number)) from error
