"""Dynamic relay authorisation: a POP or IMAP login opens the SMTP relay for its address, and time closes it."""

from __future__ import annotations

from poprelay.agentfile import run
from poprelay.agents.base import Agent
from poprelay.model import Grant, Login, Logout

__all__ = ["Agent", "Grant", "Login", "Logout", "run"]
