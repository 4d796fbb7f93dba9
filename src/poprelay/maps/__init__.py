"""Maps: files that an MTA reads by itself. Each kind is one module; the daemon keeps it equal to the ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar, Final, Protocol, runtime_checkable

import msgspec

from poprelay.model import Address, Instant, Login


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One allowed address, with what a kind may want to write beside it."""

    address: Address
    users: tuple[str, ...]
    last_login: Instant
    until: Instant


class Map(Protocol):
    """One file (or directory) that an MTA reads. Methods block, and are called from one thread at a time."""

    name: str
    """What logs and `status` call it: kind and path."""

    @property
    def expresses_networks(self) -> bool:
        """Whether a key may be an IPv6 network."""
        ...

    wants_renewals: ClassVar[bool]
    """Whether `change` is also called for an address that stays, when its last login or end changes."""
    interval: float
    """Seconds to let pass between two changes; 0 where a change is cheap. The first after quiet goes out at once."""

    def keys(self) -> set[str]:
        """Every key that the map now holds, ours or not; creates an empty map if there is none. Raises MapError."""
        ...

    def change(self, added: Sequence[Entry], removed: Collection[str]) -> None:
        """Publish, all or nothing, durably; returns when an MTA that asks sees it. Raises MapError."""
        ...

    def close(self) -> None:
        """Let go of the file; what it holds stays."""
        ...


@runtime_checkable
class Readable(Protocol):
    """A map that can also be looked at, when nobody keeps it: by `explain`, with no daemon running."""

    def holds(self, address: Address) -> bool:
        """Whether an MTA that asks for the address finds it. Creates and changes nothing; not for a map on which
        `keys` or `change` was called. Raises MapError."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A map that shows cheaply whether somebody else has touched it."""

    def disturbed(self) -> bool:
        """Whether it is gone, was replaced or changed since our last `keys` or `change`. Raises MapError."""
        ...


@runtime_checkable
class Derived(Protocol):
    """A map from which a command makes what the MTA reads."""

    def make_anew(self) -> None:
        """Let the commands run with the next change, even an empty one: an operator asked for it. Raises MapError."""
        ...


@runtime_checkable
class Inheriting(Protocol):
    """A map that may hold what another program granted before us, in the directory `path`."""

    path: Path

    def make(self) -> None:
        """Create what is missing of it, empty. Raises MapError."""
        ...

    def inherited(self, now: Instant) -> Sequence[Login]:
        """What it holds, as logins; nothing unless the config says that it is to be taken over. Raises MapError."""
        ...


KINDS: Final[dict[str, str]] = {
    "cdb": "poprelay.maps.cdb:CdbMap",
    "cidr": "poprelay.maps.cidr:CidrMap",
    "courier": "poprelay.maps.courier:CourierMap",
    "exim": "poprelay.maps.exim:EximMap",
    "hash": "poprelay.maps.hash:HashMap",
    "lmdb": "poprelay.maps.lmdb:LmdbMap",
    "opensmtpd": "poprelay.maps.opensmtpd:OpensmtpdMap",
    "sendmail": "poprelay.maps.sendmail:SendmailMap",
    "spool": "poprelay.maps.spool:SpoolMap",
    "sqlite": "poprelay.maps.sqlite:SqliteMap",
    "tcprules": "poprelay.maps.tcprules:TcprulesMap",
    "text": "poprelay.maps.text:TextMap",
    "texthash": "poprelay.maps.texthash:TexthashMap",
}
"""The built-in kinds: name in the config, and the class. Others come through the entry point `poprelay.maps`."""
