"""Dynamic relay authorisation: a POP or IMAP login opens the SMTP relay for its address, and time closes it."""

from __future__ import annotations
