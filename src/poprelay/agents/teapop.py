"""teapop: `Successful login for ann [198.51.100.25] from client.example.net [192.0.2.7]`.

The first bracket is the server's own address, the last one the client's. A name may hold anything, so it is the last
` from ... [address]` that counts, and a failure begins otherwise.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class Teapop(Agent):
    """teapop 0.3."""

    name = "teapop"
    versions = "teapop 0.3.8: failures seen, successes by its source"
    needs = "Nothing is known to be needed."
    program = "teapop"
    pid_is_session = True
    login = (
        rf"{UNCUT}Successful login for (?P<user>.+) \[[0-9a-fA-F.:]++\] from [^\s\[\]]++ "
        r"\[(?P<address>[0-9a-fA-F.:]++)\]$"
    )
    resembles = r"Successful login for "
    login_needles = ("Successful login for ",)
