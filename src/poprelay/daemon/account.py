"""What the daemon's account can do, tried by a child process that becomes it."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Callable, Collection
from contextlib import suppress
from grp import getgrnam
from pathlib import Path
from typing import Final

from poprelay.daemon import units
from poprelay.daemon.setup.starting import USER

_UNITS_GROUPS: Final = ("adm", "systemd-journal")
"""What our unit gives the daemon beside its account's own groups."""


def attempt(what: Callable[[], str], pid: int | None) -> tuple[str, str]:
    """What it returned there, and why it failed ('' if it did not).

    With the daemon's `pid` it has that process's groups. Nothing is tried, and '' returned, where we may not become it.
    """
    try:
        account = pwd.getpwnam(USER)
    except KeyError:
        return "", ""
    if os.geteuid() not in (0, account.pw_uid):
        return "", ""
    return _in_child(account, _groups(account, pid), what)


def opened(path: Path) -> str:
    """Opens a file for reading; for `attempt`. Raises OSError."""
    with path.open("rb"):
        return ""


def _groups(account: pwd.struct_passwd, pid: int | None) -> set[int]:
    if pid is not None:
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            line = next(line for line in status.splitlines() if line.startswith("Groups:"))
            return {*map(int, line.split()[1:]), account.pw_gid}
    groups = set(os.getgrouplist(account.pw_name, account.pw_gid))
    for name in _UNITS_GROUPS if units.booted() and units.known(units.DAEMON[0]) else ():
        with suppress(KeyError):
            groups.add(getgrnam(name).gr_gid)
    return groups


def _in_child(account: pwd.struct_passwd, groups: Collection[int], what: Callable[[], str]) -> tuple[str, str]:
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            if os.geteuid() == 0:
                os.setgroups(list(groups))
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
            with os.fdopen(into, "w") as written:
                written.write(what())
        except OSError as error:
            code = error.errno or errno.EIO
        except Exception:  # noqa: BLE001 - the parent says that it failed; a child has nobody above it
            code = errno.EIO
        finally:
            os._exit(code)
    os.close(into)
    with os.fdopen(out) as read:
        said = read.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said, os.strerror(code) if code else ""
