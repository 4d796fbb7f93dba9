"""Services: sockets where an MTA asks whether an address may relay, and gets an answer at once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, runtime_checkable

from poprelay.model import Address, Outcome

Find: TypeAlias = Callable[[Address], Outcome]
"""Ask the ledger about one canonical address, now. Never blocks, never raises."""


class Service(Protocol):
    """One socket, or several, with a wire protocol behind."""

    @property
    def name(self) -> str:
        """What logs and `status` call it: kind and listen address."""
        ...

    async def start(self, find: Find, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen, on `sockets` if socket activation handed some over, and answer. Raises ServiceError."""
        ...

    async def stop(self) -> None:
        """Stop listening, finish what was asked, close, and remove the unix socket that `start` made."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A service that counts its answers."""

    def counts(self) -> dict[str, int]:
        """Answers by outcome (found, absent, unavailable), refused peers by reason, open connections."""
        ...


@runtime_checkable
class Crowded(Protocol):
    """A service that has room for so many peers, and no more."""

    def crowding(self) -> str:
        """Why some of those who came lately were turned away for want of room; '' if none was."""
        ...


KINDS: Final[dict[str, str]] = {
    "policy": "poprelay.services.policy:PolicyService",
    "readsocket": "poprelay.services.readsocket:ReadSocketService",
    "socketmap": "poprelay.services.socketmap:SocketmapService",
    "tcp_table": "poprelay.services.tcp_table:TcpTableService",
}
"""The built-in kinds: name in the config, class. Third parties add theirs by the entry point `poprelay.services`."""
