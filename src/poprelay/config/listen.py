"""Where something listens, as the config spells it."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Listen(msgspec.Struct, frozen=True):
    """`unix:/path`, or `inet:HOST:PORT` with an address, not a name; an IPv6 one in brackets.

    >>> str(Listen(unix=Path("/run/x"))), str(Listen(host="::1", port=10027))
    ('unix:/run/x', 'inet:[::1]:10027')
    """

    unix: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        return f"inet:[{self.host}]:{self.port}" if ":" in self.host else f"inet:{self.host}:{self.port}"
