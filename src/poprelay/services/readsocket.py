r"""The service for Exim's `${readsocket`: one connection for each question, answered and closed.

In the ACL for RCPT, after `accept domains = +local_domains`, so that local mail does not ask:

    warn   set acl_m_poprelay = ${readsocket{/run/poprelay/exim}{$sender_host_address\n}{2s}{}{unavailable}}
    accept condition = ${if eq{$acl_m_poprelay}{yes}}
    defer  condition = ${if !eq{$acl_m_poprelay}{no}}

Only the whole word permits. All but a `no` is 'cannot tell', and deferred with 451: nobody there, no answer in 2 s, a
connection that we closed without one for want of room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from poprelay.config.section import Section
from poprelay.services.answering import Answering, Replies
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.server import Dialogue
from poprelay.wire import Bad
from poprelay.wire.readsocket import NO, UNAVAILABLE, YES, ReadSocket


class ReadSocketService(Answering):
    """Answers one line with one word."""

    kind = "readsocket"

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Reads `listen mode group max_connections idle`."""
        return cls(Door.from_section(section))

    def dialogue(self, asking: Asking) -> Callable[[], Dialogue]:
        return lambda: ReadSocketDialogue(asking)


class ReadSocketDialogue(Replies):
    """What one peer asks and is told."""

    __slots__ = ("_engine",)

    def __init__(self, asking: Asking) -> None:
        super().__init__(asking)
        self._engine = ReadSocket()

    def receive(self, data: bytes) -> bytes:
        """The reply, once; after it the connection is to be closed."""
        for key in self._engine.feed(data):
            if isinstance(key, Bad):
                self.refused = key
                return UNAVAILABLE
            self.finished = True
            return self.told(key, YES, NO, lambda _: UNAVAILABLE)
        return b""
