r"""The service for `check_client_access socketmap:unix:poprelay/socketmap:relay` in Postfix, and for Sendmail.

A live grant is `OK <value>`, none is `NOTFOUND`, and 'cannot tell' is `TEMP`: Postfix defers the mail with 451. Any map
name is answered unless the config names one: then another name is `PERM`, so that a slip in main.cf shows at once.

Sendmail writes an IPv6 address as `ipv6:2001:db8:0:0:0:0:0:7`, and wants a value, RELAY by custom. In its m4 config
(the white before `R…`'s right side is a tab), with what lets mail for its own domains flow while it cannot ask us:

    LOCAL_CONFIG
    Kpopauth socket -T<TMPF> -a<POPAUTH> local:/run/poprelay/sendmail
    LOCAL_RULESETS
    SLocal_Relay_Auth
    R$*                     $: $(popauth $&{client_addr} $: NO $)
    R$* <POPAUTH>           $# RELAY
    SLocal_check_rcpt
    R$*                     $: $1 $| <$(popauth $&{client_addr} $: NO $)>
    R$* $| <$* <TMPF>>      $: $1 $| $>"Rcpt_ok" $1
    R$* $| <$*>             $@ OK
    R$* $| RELAY            $@ OK
    R$* $| $# $*            $@ OK
    R$* $| $*               $: $1 $| $>"Relay_ok" $1
    R$* $| RELAY            $@ OK
    R$* $| $# $*            $@ OK
    R$*                     $# error $@ 4.3.0 $: "451 Cannot tell whether you may relay, please try again"

The first ruleset permits. The second only ever refuses: what would not be accepted anyway is deferred, and not refused
for good, when the question has no answer. Without it such mail is refused with 550.
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
from poprelay.wire.socketmap import NOT_FOUND, Query, Socketmap, found, permanent, sendable, temporary

VALUES: Final = {"postfix": "OK", "sendmail": "RELAY"}
"""Who may ask, and the value that permits there."""


class SocketmapService(Answering):
    """Answers socketmap queries about addresses."""

    kind = "socketmap"

    def __init__(self, door: Door, *, map: str = "", value: str = "OK", prefix: str = "") -> None:  # noqa: A002 - the config's own word
        super().__init__(door)
        self._map = map
        self._value = value
        self._prefix = prefix

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Reads `listen mode group max_connections idle`, `for` (postfix), `map` (any), `value` (OK, or RELAY)."""
        door = Door.from_section(section)
        name = section.text("map", "")
        if " " in name or not name.isascii() or (name and not name.isprintable()):
            section.refuse("map", "a map's name is printable ASCII without a space", 'use the one in main.cf: "relay"')
        asker = section.choice("for", tuple(VALUES), "postfix")
        value = section.text("value", VALUES[asker])
        if value and not sendable(value):
            section.refuse("value", "a value is 1 to 1,000 printable ASCII characters", 'Postfix wants value = "OK"')
        return cls(door, map=name, value=value, prefix="ipv6:" if asker == "sendmail" else "")

    def dialogue(self, asking: Asking) -> Callable[[], Dialogue]:
        ok = found(self._value)
        return lambda: SocketmapDialogue(asking, self._map, ok, self._prefix)


class SocketmapDialogue(Replies):
    """What one peer asks and is told. An IPv6 address may begin with `prefix`, in lower or upper case."""

    __slots__ = ("_engine", "_map", "_ok", "_prefix")

    def __init__(self, asking: Asking, map: str, ok: bytes, prefix: str = "") -> None:  # noqa: A002 - the protocol's own word
        super().__init__(asking)
        self._map = map
        self._ok = ok
        self._prefix = prefix
        self._engine = Socketmap()

    def receive(self, data: bytes) -> bytes:
        """The replies to the requests that `data` completes; nothing any more once the peer was refused."""
        replies: list[bytes] = []
        for request in self._engine.feed(data):
            if self.refused is not None:
                break
            replies.append(self._answer(request))
        return b"".join(replies)

    def _answer(self, request: Query | Bad) -> bytes:
        if isinstance(request, Bad):
            self.refused = request
            return permanent(request.why)
        if self._map and request.map != self._map:
            self.refused = Bad("unknown_map", "no such map")
            return permanent(self.refused.why)
        return self.told(self._untagged(request.key), self._ok, NOT_FOUND, temporary)

    def _untagged(self, key: str) -> str:
        """The address in `key`; the prefix is one of IPv6 addresses only."""
        tag, rest = key[: len(self._prefix)], key[len(self._prefix) :]
        return rest if tag.lower() == self._prefix and (not tag or ":" in rest) else key
