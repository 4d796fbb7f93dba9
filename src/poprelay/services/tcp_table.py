"""The service for `check_client_access tcp:127.0.0.1:10028` in Postfix: only for who asks for it.

While we are down smtpd waits nine seconds for each client; the socketmap does the same job without that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self

from poprelay.config.section import Section
from poprelay.services.answering import Answering, Replies
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.server import Dialogue
from poprelay.wire import Bad
from poprelay.wire.tcptable import TcpTable, reply

_FOUND: Final = reply(200, "OK")
_ABSENT: Final = reply(500, "absent")


class TcpTableService(Answering):
    """Answers tcp_table(5) requests."""

    kind = "tcp_table"

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Reads `listen max_connections idle`."""
        door = Door.from_section(section)
        if door.listen.unix is not None:
            section.refuse("listen", "Postfix asks a tcp: table over TCP only", 'write "inet:127.0.0.1:10028"')
        return cls(door)

    def dialogue(self, asking: Asking) -> Callable[[], Dialogue]:
        return lambda: TcpTableDialogue(asking)


class TcpTableDialogue(Replies):
    """What one peer asks and is told."""

    __slots__ = ("_engine",)

    def __init__(self, asking: Asking) -> None:
        super().__init__(asking)
        self._engine = TcpTable()

    def receive(self, data: bytes) -> bytes:
        """The replies to the requests that `data` completes."""
        replies: list[bytes] = []
        for key in self._engine.feed(data):
            if isinstance(key, Bad):
                self.refused = key
                replies.append(reply(400, key.why))
            else:
                replies.append(self.told(key, _FOUND, _ABSENT, lambda why: reply(400, why)))
        return b"".join(replies)
