"""The service for `check_policy_service unix:poprelay/policy` in Postfix.

It stands before `reject_unauth_destination`, where whoever it permits may relay. So the decision is one pure function,
it has three results, and the bytes that are sent are made from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self

from poprelay.config.section import Section
from poprelay.model import Allowed, Outcome, Unavailable
from poprelay.services.answering import Answering
from poprelay.services.asking import Asking
from poprelay.services.listener import Door
from poprelay.services.server import Dialogue
from poprelay.wire import Bad
from poprelay.wire.policy import Action, Delegated, Policy, reply


def decide(request: Delegated, allowed: Outcome) -> Action:
    """What Postfix shall do with `request`, whose client's address is `allowed` or not.

    Only at RCPT is there a recipient to relay to, so only there does a live grant permit. At the other stages (CONNECT,
    EHLO, MAIL, DATA, VRFY, …) an OK would skip checks that have nothing to do with relaying, or repeat an answer that
    was already given: DUNNO. 'Cannot tell' is DEFER_IF_REJECT at every stage, for it permits nothing at any.
    That a grant is live has been judged by the ledger.
    """
    if isinstance(allowed, Unavailable):
        return Action.DEFER_IF_REJECT
    if isinstance(allowed, Allowed) and allowed.grants and request.state == "RCPT":
        return Action.OK
    return Action.DUNNO


IDLE: Final = 330.0
"""Seconds: a little more than `smtpd_policy_service_max_idle`, for Postfix waits a second before it asks again."""
_WORDS: Final = {Action.OK: "found", Action.DUNNO: "absent", Action.DEFER_IF_REJECT: "unavailable"}


class PolicyService(Answering):
    """Answers policy requests."""

    kind = "policy"

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Reads `listen mode group max_connections idle`."""
        return cls(Door.from_section(section, idle=IDLE))

    def dialogue(self, asking: Asking) -> Callable[[], Dialogue]:
        return lambda: PolicyDialogue(asking)


class PolicyDialogue:
    """What one peer asks and is told. Trouble gets no reply, as the protocol wants."""

    __slots__ = ("_asking", "_engine", "finished", "refused")

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._engine = Policy()
        self.refused: Bad | None = None
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        """The replies to the requests that `data` completes."""
        replies: list[bytes] = []
        for request in self._engine.feed(data):
            if isinstance(request, Bad):
                self.refused = request
                break
            action = decide(request, self._asking.outcome(request.client_address))
            self._asking.tally.add(_WORDS[action])
            replies.append(reply(action))
        return b"".join(replies)
