"""The services' side of each protocol, on any ledger."""

from __future__ import annotations

from collections.abc import Callable

from poprelay.services import Find
from poprelay.services.asking import Asking
from poprelay.services.policy import PolicyDialogue
from poprelay.services.readsocket import ReadSocketDialogue
from poprelay.services.server import Dialogue
from poprelay.services.socketmap import SocketmapDialogue
from poprelay.services.tcp_table import TcpTableDialogue
from poprelay.wire.socketmap import found

DIALOGUES: dict[str, Callable[[Find], Dialogue]] = {
    "socketmap": lambda find: SocketmapDialogue(Asking("socketmap", find), "relay", found("OK")),
    "sendmail": lambda find: SocketmapDialogue(Asking("socketmap", find), "", found("RELAY"), "ipv6:"),
    "policy": lambda find: PolicyDialogue(Asking("policy", find)),
    "readsocket": lambda find: ReadSocketDialogue(Asking("readsocket", find)),
    "tcp_table": lambda find: TcpTableDialogue(Asking("tcp_table", find)),
}


def is_over(dialogue: Dialogue) -> bool:
    """Whether the connection is closed once the reply is out."""
    return dialogue.finished or dialogue.refused is not None
