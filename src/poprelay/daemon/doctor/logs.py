"""Sources: a log that is missing, closed to us, or silent; servers that never spoke; clocks that differ."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from poprelay.daemon.account import attempt, opened
from poprelay.daemon.configure import Config, Configured
from poprelay.daemon.setup.detect import logins_of
from poprelay.daemon.setup.starting import USER
from poprelay.errors import PoprelayError
from poprelay.mta import Finding
from poprelay.spans import show_span

SILENT: Final = 86_400.0
"""Seconds without a new line after which a log is likely the wrong one."""
SKEW: Final = 300.0
"""Seconds by which stamps may differ from our clock."""


def faults(config: Config, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """What is wrong with each source; `status` is the daemon's, if one runs."""
    rows = {row["name"]: row for row in (status or {}).get("sources", ())}
    for source in config.sources:
        about = f"source {source.name}"
        row = rows.get(source.name)
        if source.kind == "file":
            yield from _log(source, about, row, (status or {}).get("pid"))
        elif row is not None:
            yield from _never(source, about, row["agents"], f"{source.name} since the daemon began")
        if row is not None and abs(row["skew"]) > SKEW:
            yield _skewed(about, row["skew"])


def _log(source: Configured, about: str, row: Mapping[str, Any] | None, pid: int | None) -> Iterator[Finding]:
    path = Path(str(source.spec["path"]))
    try:
        status = path.stat()
    except OSError as error:
        mend = 'name the log that the POP/IMAP server writes, or kind = "journal", in our config'
        yield Finding("fault", about, f"{path}: {error.strerror}", "no login is seen", mend)
        return
    denied = attempt(lambda: opened(path), pid)[1]
    if denied:
        yield Finding("fault", about, f"{USER} may not read {path}: {denied}", "no login is seen", _let_in(path))
    age = time.time() - status.st_mtime
    if age > SILENT:
        what = f"{path} was not written for {show_span(age)}"
        yield Finding("note", about, what, "it may be the wrong log", "see where the server logs: doveconf log_path")
    try:
        seen = logins_of(path)
    except PoprelayError:
        return
    counted = row["agents"] if row is not None else {}
    yield from _never(source, about, {name: seen[name] + counted.get(name, 0) for name in {*seen, *counted}}, str(path))


def _let_in(path: Path) -> str:
    """How the daemon's account gets to read it, and still does when the log is rotated."""
    journal = f'kind = "journal" in the place of kind = "file" and path = "{path}" (on Red Hat, best)'
    lines = "$FileGroup adm and $FileCreateMode 0640 in rsyslog.conf, so that the next one is so, too"
    return f"{journal}; or: chgrp adm {path} && chmod g+r {path} && usermod -aG adm {USER}, with {lines}"


def _never(source: Configured, about: str, seen: Mapping[str, int], where: str) -> Iterator[Finding]:
    wanted = [agent.name for agent in source.agents]
    never = [name for name in wanted if not seen.get(name)]
    if never:
        yield _finding(about, never, where, [name for name in seen if name not in wanted and seen[name]])


def _finding(about: str, names: Sequence[str], where: str, others: Iterable[str]) -> Finding:
    quoted = ", ".join(f'"{name}"' for name in others)
    return Finding(
        "note",
        about,
        f"no login of {', '.join(names)} is in {where}",
        "either nobody has logged in, or another server logs there, or it does not log logins",
        f"agents = [{quoted}] in our config" if quoted else "poprelay match LOG --near-misses",
    )


def _skewed(about: str, skew: float) -> Finding:
    direction = "ahead of" if skew > 0 else "behind"
    return Finding(
        "fault",
        about,
        f"its stamps are {show_span(abs(skew))} {direction} our clock",
        "a grant is counted from the stamp: it ends early, or the login opens nothing",
        "timedatectl set-ntp true, on this host and on the one that logs; if it is by hours: timezone = in this source",
    )
