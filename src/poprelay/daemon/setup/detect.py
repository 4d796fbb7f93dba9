"""What runs on this host: which MTA, which log, and which POP/IMAP servers write there."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from poprelay.agents import catalog
from poprelay.clock import Clock
from poprelay.daemon import units
from poprelay.daemon.account import attempt, opened
from poprelay.daemon.sentences import listed
from poprelay.errors import MtaError, SourceError
from poprelay.model import Login
from poprelay.mta import KINDS, Installed, Mta, Placed
from poprelay.scan import Scanner
from poprelay.sources.lines import Lines

LOGS: Final = tuple(map(Path, ("/var/log/mail.log", "/var/log/maillog", "/var/log/mail", "/var/log/mail.info")))
"""Where syslog puts what the facility mail says: Debian, Red Hat, SUSE, Slackware."""
TAIL: Final = 8 * 1024 * 1024
"""Bytes at the end of a log in which the servers' logins are looked for."""
PROGRAMS: Final = {
    "dovecot": ("/usr/sbin/dovecot", "/usr/local/sbin/dovecot"),
    "courier": ("/usr/lib/courier/imapd.rc", "/usr/lib/courier/pop3d.rc", "/usr/lib/courier/courier-imapd"),
    "cyrus": ("/usr/sbin/cyrmaster", "/usr/lib/cyrus/bin/master", "/usr/libexec/cyrus-imapd/cyrus-master"),
    "uw-imap": ("/usr/sbin/ipop3d", "/usr/sbin/imapd"),
    "qpopper": ("/usr/sbin/in.qpopper", "/usr/sbin/popper"),
    "popa3d": ("/usr/sbin/popa3d",),
    "solid-pop3d": ("/usr/sbin/solid-pop3d",),
    "perdition": ("/usr/sbin/perdition",),
}
"""A server's program, where its log says nothing yet, by the name of its agent."""


class Source(msgspec.Struct, frozen=True):
    """A `[[sources]]` that fits this host, and how it was found, as a sentence."""

    section: str
    how: str


def find_mta(name: str = "", config: Path | None = None) -> tuple[Mta, Installed]:
    """The MTA of this host, or the one of that name, with that config. Raises MtaError if there is none, or more.

    One whose config is broken counts only if there is no other.
    """
    found: list[tuple[Mta, Installed]] = []
    broken: list[MtaError] = []
    for mta in mtas(name, config):
        try:
            installed = mta.find()
        except MtaError as error:
            broken.append(error)
        else:
            found += [(mta, installed)] if installed is not None else []
    if not found and broken:
        raise broken[0]
    if not found:
        what = f"{name} is not installed here" if name else "no MTA that we know is installed here"
        raise MtaError(what, remedy=f"known are {listed(sorted(KINDS))}")
    if len(found) > 1:
        names = ", ".join(mta.name for mta, _ in found)
        raise MtaError(f"there is more than one MTA here: {names}", remedy="name the one that takes mail from clients")
    return found[0]


def mtas(name: str = "", config: Path | None = None) -> list[Mta]:
    """Every MTA that we know, or the one of that name, which may have its config elsewhere. Raises MtaError."""
    if name and name not in KINDS:
        raise MtaError(f"there is no MTA {name!r} that we know", remedy=f"name one of {', '.join(KINDS)}")
    if config is not None and not name:
        raise MtaError("whose config that is must be said", remedy="name the MTA, too")
    return [_made(one, config) for one in ([name] if name else KINDS)]


def _made(name: str, config: Path | None) -> Mta:
    module, _, cls = KINDS[name].partition(":")
    kind: Any = getattr(import_module(module), cls)
    if config is None:
        made: Mta = kind()
        return made
    if not isinstance(kind, Placed):
        raise MtaError(f"{name} has one config only", remedy="leave --mta-config out")
    return kind.at(config)


def find_source(log: Path | None = None, agents: Sequence[str] = ()) -> Source:
    """The source to follow: the log that is named, or the host's; the agents that are named, or that see logins there.

    Raises MtaError if that cannot be told.
    """
    path = log or next((path for path in LOGS if path.is_file() and path.stat().st_size), None)
    if path is None and _journal():
        return _of_journal(agents, "there is no mail log in /var/log")
    if path is not None and log is None and _journal() and _closed(path):
        return _of_journal(agents or list(logins_of(path)), f"the daemon's account may not read {path}")
    if path is None:
        path = next((path for path in LOGS if path.is_file()), None)
    if path is None:
        raise MtaError("there is no mail log in /var/log, and no journal", remedy="say where it is: --log /path")
    if agents:
        return _of_file(path, agents, "as named")
    seen = logins_of(path)
    if seen:
        counts = ", ".join(f"{count} of {name}" for name, count in seen.most_common())
        return _of_file(path, list(seen), f"it has logins: {counts}")
    installed = _installed()
    if not installed:
        raise MtaError(
            f"{path} has no login that we know, and no POP or IMAP server that we know is installed",
            remedy="name its agent: --agent NAME (poprelay agents lists them)",
        )
    return _of_file(path, installed, f"it has no logins yet, but {', '.join(installed)} is installed")


def _of_file(path: Path, agents: Sequence[str], how: str) -> Source:
    section = f'[[sources]]\nkind = "file"\npath = "{path}"\nagents = [{_quoted(agents)}]\n'
    return Source(section, f"follows {path} for {', '.join(agents)}: {how}")


def _of_journal(agents: Sequence[str], why: str) -> Source:
    names = list(agents) or _installed()
    if not names:
        raise MtaError(
            "no POP or IMAP server that we know is installed",
            remedy="name its agent: --agent NAME (see poprelay agents)",
        )
    section = f'[[sources]]\nkind = "journal"\nagents = [{_quoted(names)}]\n'
    return Source(section, f"follows the journal for {', '.join(names)}: {why}")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def logins_of(path: Path) -> Counter[str]:
    """How many logins each agent sees at the end of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            block = Lines().feed(file.read(TAIL)).data
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    now = Clock().now()
    scanner = Scanner([catalog.find(name) for name in catalog.names()], source="log")
    events = scanner.scan(block, now=now, horizon=now + 86_400.0).events
    return Counter(event.agent for event in events if isinstance(event, Login))


def _installed() -> list[str]:
    return [name for name, programs in PROGRAMS.items() if any(map(os.path.exists, programs))]


def _closed(path: Path) -> bool:
    """Whether the daemon, as our unit starts it, may not read a log; Red Hat's is root's alone."""
    if not (units.booted() and units.known(units.DAEMON[0])):
        return False
    return bool(attempt(lambda: opened(path), None)[1])


def _journal() -> bool:
    folders = map(Path, ("/var/log/journal", "/run/log/journal"))
    return shutil.which("journalctl") is not None and any(folder.is_dir() for folder in folders)
