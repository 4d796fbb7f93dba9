"""Dynamic relay authorisation: a POP or IMAP login opens the SMTP relay for its address, and time closes it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from poprelay.agentfile import run
    from poprelay.agents.base import Agent
    from poprelay.daemon.heritage.framework import Daemon, POPRelay
    from poprelay.model import Grant, Login, Logout

__all__ = ["Agent", "Daemon", "Grant", "Login", "Logout", "POPRelay", "run"]

_HOMES: Final = {
    "Agent": "poprelay.agents.base",
    "Daemon": "poprelay.daemon.heritage.framework",
    "Grant": "poprelay.model",
    "Login": "poprelay.model",
    "Logout": "poprelay.model",
    "POPRelay": "poprelay.daemon.heritage.framework",
    "run": "poprelay.agentfile",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: each command passes here, and most need none of them (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
