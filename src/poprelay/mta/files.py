"""What may be wrong with a file or a directory that an MTA reads, whichever MTA it is."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from poprelay.mta import Finding, Part


def faults_of_map(part: Part, about: str) -> Iterator[Finding]:
    """Missing, unreadable to others than its owner, or writable by others; so for the directory that it lies in."""
    path = Path(part.place)
    try:
        status = path.stat()
    except FileNotFoundError:
        yield Finding(
            "fault",
            about,
            f"the map {path} is missing",
            "the MTA defers or refuses everybody it asks for, and may go on so after the map is there",
            "systemctl start poprelay, which makes it; then reload the MTA",
        )
        return
    except OSError as error:
        yield Finding("fault", about, f"the map {path}: {error.strerror}", "it cannot be read", f"ls -ld {path}")
        return
    if not status.st_mode & stat.S_IROTH:
        mend = f"chmod o+r {path}" if path.is_file() else f"chmod o+rx {path}"
        yield Finding("fault", about, f"the map {path} is not readable to the MTA", "its lookups fail", mend)
    for one in (path, path.parent):
        mode = one.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield Finding(
                "danger",
                about,
                f"every user of this host may write {one}",
                "and so let anybody relay",
                f"chmod o-w {one}",
            )
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            yield Finding(
                "fault", about, f"{folder} may not be passed by the MTA", f"{path} lies in it", f"chmod o+x {folder}"
            )
