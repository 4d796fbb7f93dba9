"""popa3d: the address stands in one line of a process, the name in the next.

    popa3d[195]: Session from 192.0.2.7
    popa3d[195]: Authentication passed for ann

A name that no account has is logged as `UNKNOWN USER`. With the patch for pop-before-smtp the second line ends in
` -- [192.0.2.7]`; on a server without it that could be part of an account's name, so it must not contradict the first
line. Without a process id nothing can be joined.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class Popa3d(Agent):
    """popa3d of Openwall."""

    name = "popa3d"
    versions = "seen: popa3d 1.0; patched for pop-before-smtp as published"
    needs = "Nothing. Keep process ids in the log: without them, nothing can be joined or granted."
    program = "popa3d"
    units = ("popa3d.service", "popa3d@*.service")  # it logs as the user who has logged in
    pid_is_session = True
    connect = r"Session from (?P<address>\S++)$"
    login = (
        r"Authentication passed for (?P<user>[^\s\[\]]++) -- \[(?P<address>[0-9a-fA-F.:]++)\]$",
        rf"{UNCUT}Authentication passed for (?P<user>.+)$",
    )
    ends = (r"Authentication failed for ", r"Didn't attempt authentication")
    logout = r"(?:\d++ \(\d++\) deleted, \d++ \(\d++\) left|Premature disconnect|Connection timed out)$"
    resembles = r"Authentication passed for "
