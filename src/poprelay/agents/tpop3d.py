"""tpop3d: `fork_child: [5]ann(192.0.2.7): began session for `ann' with passwd; child PID is 60`.

The name stands before the address, and once more behind it: only a line in which both are the same is taken, and no
name with a parenthesis. `authcontext_new_user_pass: began session` says no address. The session ends in the process of
which the login says the number, which joins nothing here.
"""

from __future__ import annotations

from typing import Final

from poprelay.agents.base import Agent

_WHO: Final = r"\[[0-9]++\](?P<user>[^()]++)\((?P<address>[0-9a-fA-F.:]++)\): "


class TPop3d(Agent):
    """tpop3d 1.4 and 1.5."""

    name = "tpop3d"
    versions = "seen: tpop3d 1.5.5"
    needs = "Nothing: seen with `-d -f FILE` and no setting about logs."
    program = "tpop3d"
    login = rf"fork_child: {_WHO}began session for `(?P=user)' with [a-z0-9_-]++; child PID is [0-9]++$"
    logout = rf"connections_post_select: client {_WHO}finished session for `(?P=user)' with [a-z0-9_-]++$"
    resembles = r"fork_child: "
    login_needles = ("fork_child: [",)
    logout_needles = ("): finished session for ",)
