"""cucipop: `ann 192.0.2.7 0, 0 (0), 3 (12345)`, at the end of a session.

What it says is a login all the same: somebody was let in from that address, and the stamp is when they left. Failures
begin with words of its own. No name with a blank is taken.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class Cucipop(Agent):
    """cucipop 1."""

    name = "cucipop"
    versions = "cucipop 1.31, as published"
    needs = "Nothing is known to be needed."
    unsafe = "Its lines come at the end of a session: the grant begins when the user leaves."
    program = "cucipop"
    login = rf"{UNCUT}(?P<user>[^\s]++) (?P<address>[0-9a-fA-F.:]++) [0-9]++, [0-9]++ \([0-9]++\), [0-9]++ \([0-9]++\)$"
    resembles = r"[^\s]++ [0-9a-fA-F.:]++ [0-9]"
    login_needles = ("cucipop",)
