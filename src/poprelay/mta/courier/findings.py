"""What may be wrong with how Courier reads us: each trap with the line that mends it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from poprelay.mta import Finding, Level, Part
from poprelay.mta.courier.instance import Instance, Rule
from poprelay.mta.files import faults_of_map
from poprelay.mta.processes import Process, running

_IPV6: Final = re.compile(r"(?::[0-9a-f]{4}){1,8}")
_IPV4: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,3}")
_NETWORK: Final = re.compile(r"[0-9A-Fa-f:.]+[-/][0-9A-Fa-f:.]+")
_ANEW: Final = "makesmtpaccess"
_BUSY: Final = 5.0
"""Seconds that root's part may need."""


def examine(instance: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    """Everything that is wrong."""
    if "RELAYCLIENT" in instance.values:
        yield _finding(
            "danger",
            f"{instance.config} sets RELAYCLIENT",
            "every client may relay: an open relay",
            f"take RELAYCLIENT out of {instance.config}; then: esmtpd restart",
        )
    with suppress(OSError):
        yield from _keys(list(instance.rules()))
    yield from _database(instance)
    for part in parts:
        if part.kind == "courier":
            yield from faults_of_map(part, "courier")
            yield from _copy(instance, Path(part.place))


def _keys(rules: Sequence[Rule]) -> Iterator[Finding]:
    counted = Counter(rule.key.lower() for rule in rules)
    for rule in {rule.key.lower(): rule for rule in rules}.values():
        key, file = rule.key, rule.file
        if counted[key.lower()] > 1:
            yield _finding(
                "fault",
                f"{file}: {key} is there {counted[key.lower()]} times",
                "makesmtpaccess fails, and nothing changes any more, not even what is taken away",
                f"leave one of the lines for {key}; then: {_ANEW}",
            )
        if _NETWORK.fullmatch(key):
            if not _has_cidr():
                yield _finding(
                    "fault",
                    f"{file}: {key} is ignored",
                    "makesmtpaccess reads networks only with the Perl module Net::CIDR, and says nothing without it",
                    f"apt install libnet-cidr-perl; then: {_ANEW}",
                )
        elif ":" in key and not _IPV6.fullmatch(key):
            yield _finding(
                "fault",
                f"{file}: {key} never matches",
                "an IPv6 address is written in full, in small letters, with one more colon in front",
                "write it so: :2001:0db8:0000:0000:0000:0000:0000:0007",
            )
        elif ":" not in key and not _IPV4.fullmatch(key):
            yield _finding("fault", f"{file}: {key} never matches", "it is no address", "write 192.0.2.7, or 192.0.2")


def _database(instance: Instance) -> Iterator[Finding]:
    database = instance.database
    try:
        made = database.stat()
    except OSError as error:
        yield _finding("fault", f"{database}: {error.strerror}", "no rule holds, and none of ours", _ANEW)
        return
    newer = [
        file
        for file in [*instance.files(), instance.access]
        if file.exists() and file.stat().st_mtime > made.st_mtime + 1
    ]
    if newer:
        yield _finding("fault", f"{database} is older than {newer[0]}", "what stands there does not hold yet", _ANEW)
    for process in running("couriertcpd"):
        if f"-access={database}" in process.words and _is_stale(process, database, made):
            yield _finding(
                "fault",
                f"couriertcpd reads a {database.name} that was replaced",
                "until it is told it looks at no new one: who was taken out may relay, and the other way round",
                f"{_ANEW} (which tells it; makedat alone does not)",
            )


def _is_stale(process: Process, database: Path, made: os.stat_result) -> bool:
    """Whether it goes on with what was replaced; one that was told opens the new one for its next connection."""
    if not _has_other(process.pid, database, made):
        return False
    with suppress(OSError), socket.create_connection(("127.0.0.1", 25), 5.0) as woken:
        woken.recv(1)
    return _has_other(process.pid, database, made)


def _has_other(pid: int, database: Path, made: os.stat_result) -> bool:
    """Whether a process has another file open that once had the database's name."""
    for one in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            name = Path(str(one.readlink()).removesuffix(" (deleted)"))
            if name.parent == database.parent and name.name.startswith(database.stem):
                return not os.path.samestat(one.stat(), made)
    return False


def _copy(instance: Instance, place: Path) -> Iterator[Finding]:
    """Whether what our map says stands where Courier's database is made from."""
    alone = instance.access.is_dir()
    copy = instance.access / place.name if alone else instance.access.with_name(f"{instance.access.name}.poprelay")
    if place in (copy, instance.access):
        return
    with suppress(OSError):
        if not copy.exists():
            yield _finding(
                "fault",
                f"there is no {copy}: Courier does not ask us",
                "nobody can relay by what poprelay grants",
                "poprelay setup courier",
            )
        elif time.time() - place.stat().st_mtime > _BUSY:
            ours, theirs = _lines(place), _lines(copy)
            if ours - theirs or (alone and theirs - ours):
                yield _finding(
                    "fault",
                    f"{copy} does not say what {place} says",
                    "root's part has not copied it: somebody may relay who must not any more, or the other way round",
                    "poprelay status; journalctl -u poprelay-root",
                )


def _lines(path: Path) -> set[str]:
    return {line for line in path.read_text().splitlines() if line and not line.startswith("#")}


def _has_cidr() -> bool:
    try:
        return subprocess.run(["/usr/bin/perl", "-MNet::CIDR", "-e1"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _finding(level: Level, what: str, why: str, mend: str) -> Finding:
    return Finding(level, "courier", what, why, mend)
