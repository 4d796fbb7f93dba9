"""solid-pop3d: with `--enable-logextend` (Debian's) in one line, without it in two.

    solid-pop3d[7]: user ann authenticated - client.example.net (192.0.2.7)
    spop3d[8]: connect from 192.0.2.7
    spop3d[8]: user ann authenticated

A failure begins with `authentication failed`. A line that ends in a bare address may be one that was cut: a long name
in it grants nothing.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class SolidPop3d(Agent):
    """solid-pop3d 0.15."""

    name = "solid-pop3d"
    versions = "seen: solid-pop3d 0.15 with `--enable-logextend` (Debian's); without as published"
    needs = "Nothing. Without `--enable-logextend` keep process ids in the log: they join its two lines."
    program = ("solid-pop3d", "spop3d")
    pid_is_session = True
    connect = (
        r"connect from [^ ()]++ \((?P<address>[0-9a-fA-F.:]++)\)$",
        r"connect from (?P<address>[^ ]++)$",
    )
    login = (
        rf"{UNCUT}user (?P<user>.+) authenticated - [^ ()]++ \((?P<address>[0-9a-fA-F.:]++)\)$",
        r"user (?P<user>.{1,128}) authenticated - (?P<address>[0-9a-fA-F.:]++)$",
        rf"{UNCUT}user (?P<user>.+) authenticated$",
    )
    ends = (r"authentication failed", r"session ended(?> - .*|)$", r"read: ")
    logout = (
        r"session ended for user (?P<user>.+) - [^ ()]++ \((?P<address>[0-9a-fA-F.:]++)\)$",
        r"session ended for user (?P<user>.+) - (?P<address>[0-9a-fA-F.:]++)$",
        r"session ended for user (?P<user>.+)$",
    )
    resembles = r"user .* authenticated"
