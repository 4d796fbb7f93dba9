"""What may be wrong with a file or a directory that an MTA reads, whichever MTA it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam, getpwuid

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


def faults_of_socket(part: Part, about: str, user: str) -> Iterator[Finding]:
    """A unix socket that is missing, or that the MTA's `user` cannot get at."""
    if not part.place.startswith("unix:"):
        return
    path = Path(part.place.removeprefix("unix:"))
    try:
        account = getpwuid(int(user)) if user.isdecimal() else getpwnam(user)
        groups = set(os.getgrouplist(account.pw_name, account.pw_gid))
        for one, bit in ((path, 2), *((folder, 1) for folder in path.parents)):
            status = one.stat()
            shift = 6 if status.st_uid == account.pw_uid else 3 if status.st_gid in groups else 0
            if account.pw_uid and not status.st_mode >> shift & bit:
                mend = f"chgrp {getgrgid(account.pw_gid).gr_name} {one} && chmod {'g+x' if bit == 1 else 'g+rw'} {one}"
                yield Finding(
                    "fault", about, f"{account.pw_name} cannot get at {path}: {one}", "nobody is answered", mend
                )
    except FileNotFoundError:
        yield Finding("fault", about, f"{path} is missing", "nobody is answered", "systemctl start poprelay")
    except (KeyError, OSError) as error:
        yield Finding("fault", about, f"{path}: {error}", "nobody may be answered", f"ls -l {path}")
