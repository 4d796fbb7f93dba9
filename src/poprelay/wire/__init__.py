"""Protocol engines: bytes in, requests out; a reply is bytes. No socket, no clock.

An engine is fed whatever a socket yields, in pieces of any size, and returns the requests that are now complete. A peer
that breaks the protocol yields one `Bad` and then nothing more: what follows cannot be read, so the caller closes.
"""

from __future__ import annotations

import msgspec


class Bad(msgspec.Struct, frozen=True, gc=False):
    """What a peer did wrong: a word to count it by, and words for the log. Both are ours; neither holds its bytes."""

    word: str
    why: str
