"""vm-pop3d, with virtual domains: old versions in two lines, new ones in one.

    vm-pop3d[7]: Connect from 192.0.2.7
    vm-pop3d[7]: User 'ann' of 'example.com' logged in
    vm-pop3d[8]: User 'ann' logged in from 192.0.2.7, nmsgs=3

A client over IPv6 is logged as 0.0.0.0: such a login cannot be attributed, and grants nothing.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class VmPop3d(Agent):
    """vm-pop3d 1."""

    name = "vm-pop3d"
    versions = "seen: vm-pop3d 1.1.6 (the cc fork); others as published"
    needs = (
        "Nothing. Let it listen on IPv4: of a client over IPv6 it logs 0.0.0.0, and nothing is granted. Versions "
        "of two lines need process ids in the log."
    )
    program = "vm-pop3d"
    pid_is_session = True
    connect = r"Connect from (?P<address>[^ ]++)$"
    login = (
        rf"{UNCUT}User '(?P<user>.+)' logged in from (?P<address>[0-9a-fA-F.:]++), nmsgs=[0-9]++$",
        rf"{UNCUT}User '(?P<user>.+)'(?> of '[^']*+'|) logged in$",
    )
    ends = (r"Session ended for no user$", r"Socket closed$", r"(?:Read|Input) timeout")
    logout = (
        r"Session ended for user: '(?P<user>.+)' from (?P<address>[0-9a-fA-F.:]++), nmsgs=[0-9]++, ndel=[0-9]++$",
        r"Session ended for user: (?P<user>.+)$",
    )
    resembles = r"User '.*' logged in"
