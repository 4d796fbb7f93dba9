"""Whose journal entries count: the journal knows who wrote each one, and a name is not enough.

Anyone on the host may write to the journal under any name: `logger -t dovecot`. But journald itself adds the account
(`_UID`), the process (`_COMM`) and the systemd unit (`_SYSTEMD_UNIT`) of the writer, which no client can set
(systemd.journal-fields(7), 'Trusted Journal Fields'). Only the account and the unit prove anything: a process chooses
its own name, and journald does not learn it at all if the process has ended by the time that it looks.
"""

from __future__ import annotations

import pwd
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import msgspec

from poprelay.agents.base import Agent
from poprelay.errors import SourceError

if TYPE_CHECKING:
    from poprelay.config.section import Section

ROOT: Final = 0
TRANSPORTS: Final = ("syslog", "journal")
"""How an entry may have come: by syslog(3) or sd_journal_print(3), where one message is one entry. What a service
prints (`stdout`) is cut at each newline, so that a newline in a user name would make an entry of its own."""

_DIGITS: Final = 10
"""Of a user id, which has 32 bits."""

TOOLS: Final = frozenset({"logger"})
"""Commands that write what others tell them; no server is called so."""


class Entry(msgspec.Struct, gc=False):
    """What `journalctl -o json` says of one entry. A field that comes several times is a list, and is then no text."""

    cursor: str = msgspec.field(name="__CURSOR")
    identifier: Any = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)
    uid: Any = msgspec.field(name="_UID", default=None)
    command: Any = msgspec.field(name="_COMM", default=None)
    unit: Any = msgspec.field(name="_SYSTEMD_UNIT", default=None)
    transport: Any = msgspec.field(name="_TRANSPORT", default=None)
    dropped: Any = msgspec.field(name="N_DROPPED", default=None)
    message: msgspec.Raw = msgspec.field(name="MESSAGE", default=msgspec.Raw(b"null"))


class Speakers(msgspec.Struct, frozen=True):
    """Who may speak for a server. None: whoever it is; for `commands`, whoever is known and no tool.

    A process of one of `servers`, which are units too, may speak whatever its account.
    """

    uids: frozenset[int] | None = frozenset({ROOT})
    servers: tuple[str, ...] = ()
    units: tuple[str, ...] | None = None
    commands: frozenset[str] | None = None

    def may(self, entry: Entry) -> bool:
        """Whether an entry with this origin counts. What journald does not say never fits."""
        if entry.transport not in TRANSPORTS or not isinstance(entry.command, str):
            return False
        known = self.uids is None or (_is_number(entry.uid) and int(entry.uid) in self.uids)
        if not known and not _is_of(entry.unit, self.servers):
            return False
        if self.units is not None and not _is_of(entry.unit, self.units):
            return False
        return entry.command not in TOOLS if self.commands is None else entry.command in self.commands


class Choice(msgspec.Struct, frozen=True):
    """Who may speak, as the config says it: accounts by name or number, not looked up yet. Empty: not said."""

    uids: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    """Those of the agents' servers; one that this host does not have is left out."""
    servers: tuple[str, ...] = ()
    """The units of the agents' servers."""

    @classmethod
    def from_section(cls, section: Section, agents: Sequence[Agent]) -> Choice:
        """Reads `uids`, `units` and `commands`."""
        uids = section.texts("uids", (), once=True)
        for number, text in section.numbered("uids", ()):
            if text.isdecimal() and int(text) >= 2**32 - 1:
                section.refuse("uids", f"{text} is no user id", "write an account's name or number", number=number)
        return cls(
            uids=uids,
            units=section.texts("units", (), once=True),
            commands=section.texts("commands", (), once=True),
            accounts=tuple(name for agent in agents for name in agent.accounts),
            servers=tuple(unit for agent in agents for unit in agent.units),
        )

    def speakers(self) -> Speakers:
        """With the accounts looked up. Raises SourceError if one of `uids` is not known here.

        Root and the servers' own accounts and units may speak; `uids` says it otherwise. Nobody but a unit's own
        processes can write in its name, so that with `units` any account will do.
        """
        commands = frozenset(self.commands) or None
        if self.uids:
            return Speakers(frozenset(_number(name) for name in self.uids), (), self.units or None, commands)
        if self.units:
            return Speakers(None, (), self.units, commands)
        found = (_look_up(name) for name in self.accounts)
        return Speakers(frozenset({ROOT, *(uid for uid in found if uid is not None)}), self.servers, None, commands)


def _is_of(unit: object, wanted: tuple[str, ...]) -> bool:
    return isinstance(unit, str) and any(fnmatchcase(unit, each) for each in wanted)


def _is_number(field: object) -> bool:
    return isinstance(field, str) and len(field) <= _DIGITS and field.isascii() and field.isdecimal()


def _number(name: str) -> int:
    uid = int(name) if _is_number(name) else _look_up(name)
    if uid is None:
        raise SourceError(f"this host has no user {name!r}", remedy="correct uids", user=name)
    return uid


def _look_up(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None
